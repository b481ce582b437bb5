"""Every completion that was paid for, kept before it is parsed."""
