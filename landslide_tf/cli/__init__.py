"""Command line: one module a command, each a thin wrapper of a public function."""
