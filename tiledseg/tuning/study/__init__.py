"""What a study is: its definition, its storage, and how it is joined."""
