"""Parts of the page Label map, and of drift on the page Data."""
