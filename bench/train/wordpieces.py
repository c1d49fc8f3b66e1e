"""From sentences to word pieces, by the vocabulary beside a BERT's weights."""

from pathlib import Path

import numpy as np

from bench.train.data import Batch
from bench.train.texts import BadData, Lines

SPECIAL = ("[UNK]", "[CLS]", "[SEP]", "[PAD]")  # words that every BERT's vocabulary has
UNKNOWN = 0.5  # of the words: with more that are unknown the vocabulary is another language's


class WordPieces:
    """Encodes sentences, cut or padded to one length, and counts those that were cut."""

    def __init__(self, checkpoint: Path, length: int, vocabulary: int):
        from tokenizers import BertWordPieceTokenizer

        path = (checkpoint if checkpoint.is_dir() else checkpoint.parent) / "vocab.txt"
        if not path.is_file():
            raise BadData(f"{path}: not found; copy the model's vocab.txt beside its weights")
        try:
            self.tokenizer = BertWordPieceTokenizer(str(path), lowercase=True)
        except Exception as error:  # the tokenizer's library raises nothing narrower
            raise BadData(f"{path}: cannot be read as a vocabulary: {error}") from None
        if missing := [name for name in SPECIAL if self.tokenizer.token_to_id(name) is None]:
            raise BadData(f"{path}: {', '.join(missing)} not found, expected BERT's words {', '.join(SPECIAL)}")
        if self.tokenizer.get_vocab_size() > vocabulary:
            raise BadData(
                f"{path}: got {self.tokenizer.get_vocab_size()} words, expected at most {vocabulary}, the table's"
            )
        self.path, self.length = path, length
        self.tokenizer.enable_truncation(length)
        self.tokenizer.enable_padding(length=length)

    def encode(self, lines: Lines) -> Batch:
        """A row a sentence."""
        encoded = self.tokenizer.encode_batch(lines.sentences)
        tokens = np.array([each.ids for each in encoded], np.int32)
        mask = np.array([each.attention_mask for each in encoded], np.float64)
        labels = np.array(lines.labels or [0] * len(tokens), np.int32)
        return {"tokens": tokens, "mask": mask, "labels": labels}

    def refuse_another_language(self, batch: Batch) -> None:
        """Refuse a vocabulary that does not know most of what the sentences are made of."""
        pieces = batch["mask"] > 0
        unknown = float((batch["tokens"][pieces] == self.tokenizer.token_to_id("[UNK]")).mean())
        if unknown > UNKNOWN:
            raise BadData(
                f"{self.path}: {unknown:.0%} of the texts' word pieces are unknown to it, expected at most"
                f" {UNKNOWN:.0%}: take a BERT of the texts' language"
            )

    def count_cut(self, lines: Lines) -> int:
        """How many sentences have more word pieces than are kept."""
        return sum(bool(each.overflowing) for each in self.tokenizer.encode_batch(lines.sentences))
