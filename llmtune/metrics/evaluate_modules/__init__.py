"""Our metrics as `evaluate.Metric` classes, without network: constructed directly, or by path.

    from llmtune.metrics.evaluate_modules.f1 import F1
    F1(average="macro").compute(predictions=…, references=…)

    evaluate.load("…/llmtune/metrics/evaluate_modules/f1.py")

`evaluate` copies such a file and takes the first metric class it finds in it: hence `import evaluate`
whole, one import a line, and no shared base class.
"""
