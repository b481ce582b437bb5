"""What operators are told of runs through OpenTelemetry, where they ask for it."""
