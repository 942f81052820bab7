"""What several methods of a family share: schemes, systems, and how terms are read; methods never import each other."""
