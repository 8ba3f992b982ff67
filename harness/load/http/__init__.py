"""Load over HTTP: bytes are sent when due and stamped when they arrive; reading them comes later."""
