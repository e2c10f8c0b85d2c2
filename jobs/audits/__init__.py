"""One folder an audit."""
