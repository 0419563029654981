"""The code of a card that writes a text: plain transformers, asked as the run was asked."""

from typing import Any

SEQUENCE_TO_SEQUENCE = """\
{languages}texts = {texts}
inputs = tokenizer(texts, truncation=True, max_length={max_source_length}, padding=True, return_tensors="pt", \
return_token_type_ids=False, split_special_tokens=True)
with torch.no_grad():
    ids = model.generate(**inputs)
for answer in tokenizer.batch_decode(ids, skip_special_tokens=True):
    print(answer.strip())
"""
DECODER = """\
tokenizer.padding_side = "left"  # a decoder continues from the right-most token
texts = {texts}
inputs = tokenizer(texts, padding=True, return_tensors="pt", return_token_type_ids=False)
with torch.no_grad():
    ids = model.generate(**inputs)
for answer in tokenizer.batch_decode(ids[:, inputs["input_ids"].shape[1] :], skip_special_tokens=True):
    print(answer.strip())
"""
CHAT = """\
turns = [{{"role": "user", "content": text}} for text in {texts}]
for turn in turns:
    inputs = tokenizer.apply_chat_template([turn], add_generation_prompt=True, enable_thinking=False, \
return_dict=True, return_tensors="pt")
    with torch.no_grad():
        ids = model.generate(**inputs)
    print(tokenizer.decode(ids[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True).strip())
"""
SOURCES = ("Write here a text for the model.", "And a second text.")
QUESTIONS = ("question: Who wrote the letter? context: The letter was written by Ada Lovelace in 1843.",)


def auto_of(settings: dict[str, Any]) -> str:
    """The Auto class of transformers."""
    return "AutoModelForCausalLM" if settings["decoder"] else "AutoModelForSeq2SeqLM"


def writing_code(settings: dict[str, Any]) -> str:
    """Lines after the loading of tokenizer and model; the search is in the generation_config.json beside the weights.

    Args:
        settings: `llmtune` of the model's config.
    """
    languages = {name: settings[name] for name in ("source_lang", "target_lang")}
    sources = QUESTIONS if settings["task"] == "generative-question-answering" else SOURCES
    texts = [settings["prompt_template"].format(source=source, **languages) for source in sources]
    if settings["use_chat_template"]:
        return CHAT.format(texts=texts)
    if settings["decoder"]:
        return DECODER.format(texts=texts)
    named = languages["source_lang"]
    first = f"if hasattr(tokenizer, 'src_lang'):\n    tokenizer.src_lang = {named!r}\n" if named else ""
    return SEQUENCE_TO_SEQUENCE.format(languages=first, texts=texts, max_source_length=settings["max_source_length"])
