"""The code of a card of a language model: a text scored as the report's were, a prompt or a chat answered."""

from typing import Any

from llmtune.report.card_code_generation import CHAT

BEGIN = """\
begin = [token for token in (tokenizer.bos_token_id, tokenizer.eos_token_id) if token is not None][:1]
"""
SCORE = """\
text = "Write here a text to score."
ids = torch.tensor([begin + tokenizer(text, add_special_tokens=False, split_special_tokens=True)["input_ids"]])
with torch.no_grad():
    log_probabilities = model(ids[:, :{max_length}]).logits[0, :-1].float().log_softmax(-1)
nats = -log_probabilities.gather(1, ids[0, 1:{max_length}, None]).sum().item()
print(f"{{nats:.3f}} nats, {{nats / torch.tensor(2.0).log() / len(text.encode()):.3f}} bits per byte")
"""
ANSWER = """\
prompt = "Write here a prompt."
ids = torch.tensor([begin + tokenizer(prompt, add_special_tokens=False, split_special_tokens=True)["input_ids"]])
with torch.no_grad():
    answer = model.generate(input_ids=ids, attention_mask=torch.ones_like(ids))
print(tokenizer.decode(answer[0, ids.shape[1] :], skip_special_tokens=True))
"""
QUESTIONS = ["Write here a question."]


def likelihood_code(settings: dict[str, Any]) -> str:
    """Lines after the loading of tokenizer and model, by the format of the rows that it learned from.

    Args:
        settings: `llmtune` of the model's config.
    """
    if settings["input_format"] == "messages":
        return CHAT.format(texts=QUESTIONS)
    if settings["input_format"] == "prompt_completion":
        return BEGIN + ANSWER
    return BEGIN + SCORE.format(max_length=settings["max_length"])
