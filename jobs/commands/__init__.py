"""What is typed: the commands, their options and the tables that they print."""
