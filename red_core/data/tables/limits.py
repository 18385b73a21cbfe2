"""Size limits of tables. Other modules read them through this module, so that a test can lower them."""

MAX_BYTES = 1 << 30  # unpacked; a table is held in memory, and a small archive can unpack to terabytes
MAX_FIELD = 10_000_000  # characters; an unclosed quote swallows the rest of a file into one field
MAX_ROWS = 5_000_000  # about what 16 GB of memory holds as Python strings
MAX_COLUMNS = 200  # more is a matrix, not texts with labels
MAX_CELLS = 20_000_000  # of a workbook: 18 kB of it can declare millions
EVERY = 10_000  # rows between two reports of progress
PREVIEW_SECONDS = 20.0  # for reading a file that a person waits for
MAX_MEMORY = 6 << 30  # bytes of address space of the process that reads such a file, beside the program itself
