"""Helpers of several test files: projects, files, servers, a browser, and functions that compare projects."""
