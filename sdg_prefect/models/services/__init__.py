"""What is called like a model and speaks a protocol of its own: agents, and servers of tools."""
