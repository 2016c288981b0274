"""Songs longer than a clip: generated as a whole, or joined from clips."""
