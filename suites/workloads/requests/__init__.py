"""What a model is asked: prompts, their lengths and their classes."""
