"""Who answers *valid* or *invalid*: one protocol, and those who follow it."""
