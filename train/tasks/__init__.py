"""What is trained: maps of pixels, classes of whole images, two regions."""
