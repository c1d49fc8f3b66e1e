"""What these methods do on a user's own model: derivatives, samples, radius, curvature, places, cost, and advice."""
