"""Token classification: entities in texts, one IOB2 tag a word."""
