"""Datasets in the form in which their authors publish them, read one by one."""
