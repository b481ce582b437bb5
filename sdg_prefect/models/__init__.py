"""Models: prompts in, completions out, within an endpoint's limits and with every failure named."""
