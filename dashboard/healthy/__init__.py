"""`tickbridge healthy`: whether bridge and dashboard really work, by what they do, not by their processes."""
