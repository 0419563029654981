"""What several metric files share: the parts of a metric, confusion matrix, averages, moments, spans."""
