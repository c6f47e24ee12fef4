"""The machines that take work from a site: how they join, what they say, how they leave."""
