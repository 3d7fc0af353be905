"""Pictures made of parts that are placed and chosen."""
