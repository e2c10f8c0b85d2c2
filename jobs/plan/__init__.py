"""How stages are planned as shards, from a spec, its facts and finished results."""
