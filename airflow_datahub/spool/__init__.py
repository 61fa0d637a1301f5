"""What tasks of one DAG hand to one another: records, or files of records."""
