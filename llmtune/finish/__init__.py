"""The end of every recipe: what a run leaves in its folder, at its trackers and on the Hub."""
