"""The stages of an audit: one module each, with what it needs and how it is planned."""
