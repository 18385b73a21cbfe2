"""The only SQL: migrations, and one module per group of tables. Open a connection per operation."""
