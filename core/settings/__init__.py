"""What an audit sets of each method: one frozen dataclass a method, light to import.

They are the only definition. A spec's keys, their defaults, bounds and descriptions are made of
them, a shard's settings are their fields, and a worker builds them again out of a shard's.
"""
