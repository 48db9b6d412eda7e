"""Arrays as callers pass them, of any library and type: find what a conversion to float32 would lose or change."""
