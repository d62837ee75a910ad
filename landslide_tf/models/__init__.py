"""Networks: one a file, built by the public function of the same name."""
