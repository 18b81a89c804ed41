"""One file per system: ROWS, and versions() -> {name: version}."""
