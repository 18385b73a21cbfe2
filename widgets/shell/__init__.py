"""Parts that every page has: project, line of facts, next step, sign-in, cached reads."""
