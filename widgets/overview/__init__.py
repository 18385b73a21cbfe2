"""Parts of the page Overview: the goal, the plan, the labels that need the analyst."""
