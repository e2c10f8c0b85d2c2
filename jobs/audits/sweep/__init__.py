"""How many transitions are enough."""
