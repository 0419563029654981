import json
import random

from llmtune.text.spans import spans_of_tags, split_words, tags_of_spans


def test_spans_become_tags_and_tags_spans():
    text = "Mr. Rednjak flew  to Phoenix."
    spans = [{"start": 21, "end": 28, "label": "GPE"}, {"start": 4, "end": 11, "label": "PERSON"}]
    words = split_words(text, "spans")

    tags, widened, findings = tags_of_spans(text, words, spans)

    assert [text[a:b] for a, b in words] == ["Mr", ".", "Rednjak", "flew", "to", "Phoenix", "."]
    assert tags == ["O", "O", "B-PERSON", "O", "O", "B-GPE", "O"]
    assert (widened, findings) == (0, [])
    found = spans_of_tags(text, words, tags, [1.0, 1.0, 0.7, 1.0, 1.0, 0.9, 1.0])
    assert found[0] == {"start": 4, "end": 11, "label": "PERSON", "text": "Rednjak", "score": 0.7}


def test_a_span_that_ends_inside_a_word_is_widened_and_space_at_its_ends_is_not():
    text = "pay 5kg now"
    words = split_words(text, "spans")

    assert tags_of_spans(text, words, [{"start": 4, "end": 5, "label": "N"}])[:2] == (["O", "B-N", "O"], 1)
    assert tags_of_spans(text, words, [{"start": 3, "end": 8, "label": "N"}])[:2] == (["O", "B-N", "O"], 0)


def test_two_spans_in_one_word_can_not_be_tags():
    text = "pay 5kg now"

    _, _, findings = tags_of_spans(
        text,
        split_words(text, "spans"),
        [{"start": 4, "end": 5, "label": "N"}, {"start": 5, "end": 7, "label": "UNIT"}],
    )

    assert findings == ["span 5:7 UNIT begins inside '5kg', where another ends"]


def test_as_many_entities_as_spans_wherever_they_lie():
    draw = random.Random(0)
    for _ in range(500):
        words = ["".join(draw.choices("aB1.é漢", k=draw.randint(1, 4))) for _ in range(draw.randint(1, 12))]
        text = " ".join(words)
        bounds, start = [], 0
        for word in words:
            bounds.append((start, start + len(word)))
            start += len(word) + 1
        chosen = [i for i in range(len(words)) if draw.random() < 0.5]
        spans = [{"start": bounds[i][0], "end": bounds[i][1], "label": "X"} for i in chosen]

        pieces = split_words(text, "spans")
        tags, widened, findings = tags_of_spans(text, pieces, spans)

        assert (widened, findings) == (0, []), json.dumps(text)
        back = spans_of_tags(text, pieces, tags, [1.0] * len(tags))
        assert [(s["start"], s["end"]) for s in back] == [(s["start"], s["end"]) for s in spans]
