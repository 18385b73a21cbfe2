"""What several test files use: projects, files, servers, a browser, and what they look like from outside."""
