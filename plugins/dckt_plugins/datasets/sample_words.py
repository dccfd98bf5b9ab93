"""What the sample data set's texts are made of: phrases about characters, and the sentences that hold them.

Source and target speak of the same strokes and loops, partly in the same words; names, facts and sentences differ.
The sentences of one split occur in no other, and each split of the target has phrases of its own besides those that
it shares, so that no single word gives a class away.
"""

from __future__ import annotations

from typing import NamedTuple, TypeVar

import numpy as np

T = TypeVar("T")

PRINTED_SHAPES = {
    "A": ("two slanted strokes that meet at the top", "a sharp peak with a short bar across it"),
    "B": ("an upright stroke with two closed loops on its right", "two closed loops, one above the other, on a stem"),
    "C": ("a round curve open to the right", "a wide bow that never closes"),
    "D": ("an upright stroke closed by one wide curve", "a straight left edge and a round right side"),
    "E": ("an upright stroke with three level bars", "a stem with three short arms to the right"),
    "F": ("an upright stroke with two level bars", "a stem with two short arms and nothing at the foot"),
    "G": ("a round curve that turns inward with a short bar", "a bow open to the right with a small shelf"),
    "H": ("two upright strokes joined by a bar in the middle", "two parallel stems with a bridge between them"),
    "I": ("a single upright stroke", "one straight stem and hardly anything else"),
    "J": ("an upright stroke that ends in a hook to the left", "a stem bent to the left at the foot"),
    "K": ("an upright stroke with two slanted arms", "a stem from which two arms spread to the right"),
    "L": ("an upright stroke with one level bar at the foot", "a stem and a bar that make a square corner"),
    "M": ("two upright strokes with a sharp valley between them", "two peaks between two stems"),
    "N": ("two upright strokes tied by a slanted one", "two stems and one diagonal"),
    "O": ("one large closed loop", "a round ring with an empty middle"),
    "P": ("an upright stroke with a closed loop at the top", "a stem that carries one loop on the upper right"),
    "Q": ("one large closed loop with a small tail", "a round ring crossed by a tail at the lower right"),
    "R": ("a closed loop at the top and a slanted leg below", "a stem with a loop and a leg to the right"),
    "S": ("two curves that turn opposite ways", "a bow open to the right above a bow open to the left"),
    "T": ("an upright stroke under a level bar", "a bar along the top with a stem in the middle"),
    "U": ("two upright strokes joined by a curve at the foot", "a deep cup open at the top"),
    "V": ("two slanted strokes that meet at the bottom", "a sharp valley open at the top"),
    "W": ("four slanted strokes in a zigzag", "two sharp valleys side by side"),
    "X": ("two slanted strokes that cross in the middle", "a cross of two diagonals"),
    "Y": ("two slanted arms on a short stem", "a fork that stands on a single foot"),
    "Z": ("two level bars tied by a slanted stroke", "a bar along the top, a diagonal and a bar at the foot"),
    "0": ("one tall closed loop", "a narrow ring with an empty middle"),
    "1": ("an upright stroke with a small flag at the top", "one straight stem with a short slanted start"),
    "2": ("a curve at the top and a level bar at the foot", "a bow that slides down into a flat base"),
    "3": ("two curves open to the left, one above the other", "two bows stacked on the right"),
    "4": ("a sharp corner on the left crossed by an upright stroke", "a slanted stroke, a bar and a stem"),
    "5": ("a level bar along the top and a round belly below", "a flat top, a short neck and a bow open to the left"),
    "6": ("a closed loop at the bottom with a curve rising from it", "a ring at the foot under a long bow"),
    "7": ("a level bar along the top and a slanted stroke below", "a flat top and one diagonal leg"),
    "8": ("two closed loops, one above the other", "two stacked rings that touch in the middle"),
    "9": ("a closed loop at the top with a tail below", "a ring at the head and a leg under it"),
}
"""Characters of the source: 26 capital letters and 10 digits, two ways to describe each."""

PRINTED_SENTENCES = {
    "train": (
        "This drawing shows {name}, printed in {style} type: {shape}.",
        "{shape}, set in a {style} font.",
        "In {style} print, {name} is made of {shape}.",
        "A {style} character on paper, with {shape}.",
        "Here stands {name}. The {style} typeface gives it {shape}.",
    ),
    "val": (
        "A page of {style} letters and digits, and on it {name}: {shape}.",
        "The printer chose a {style} face for {name}.",
        "One sees {shape}, in black {style} print.",
    ),
}


class Digit(NamedTuple):
    """A class of the target: its name, five ways to describe the pen's path, five facts about the number."""

    name: str
    strokes: tuple[str, str, str, str, str]
    facts: tuple[str, str, str, str, str]


DIGITS = (
    Digit(
        "zero",
        (
            "the pen went once around and closed the loop",
            "a tall ring with nothing inside",
            "one oval drawn without a corner",
            "a single closed curve around an empty middle",
            "an egg shape, hollow within",
        ),
        (
            "it counts an empty basket",
            "adding it changes nothing",
            "what is left when all is gone",
            "anything times this amount vanishes",
            "the score before a match begins",
        ),
    ),
    Digit(
        "one",
        (
            "the pen went straight down",
            "a single upright stroke",
            "one stem, with a small flag at the top",
            "a plain line from top to bottom",
            "hardly more than a straight stem",
        ),
        (
            "it counts the sun in our sky",
            "the first of all when counting",
            "a lone traveller",
            "multiplying by it changes nothing",
            "the winner's place",
        ),
    ),
    Digit(
        "two",
        (
            "the pen made a bow and ended in a flat base",
            "a curve at the top, a level line at the foot",
            "a neck like a swan's above a straight foot",
            "a bow that slides down to the left and turns flat",
            "a round head that rests on a level bar",
        ),
        (
            "it counts the wheels of a bicycle",
            "a pair of shoes",
            "half of four",
            "the only even prime",
            "as many as the eyes in a face",
        ),
    ),
    Digit(
        "three",
        (
            "the pen made two bows, one above the other",
            "two curves open to the left",
            "a pair of half rings stacked on the right",
            "two bellies with a notch between them",
            "a double bow, open on the left side",
        ),
        (
            "it counts the sides of a triangle",
            "the wheels of a tricycle",
            "half of six",
            "as many as the colours of a traffic light",
            "two and a single more",
        ),
    ),
    Digit(
        "four",
        (
            "the pen was lifted to cross a sharp corner",
            "a corner on the left and an upright stroke through its arm",
            "an open top, a level arm and a long stem",
            "a stem crossed by a bar, like a small chair upside down",
            "two short lines that make a corner, cut by a long one",
        ),
        (
            "it counts the legs of a table",
            "the seasons of the year",
            "twice two",
            "the corners of a square",
            "as many as the wheels of a car",
        ),
    ),
    Digit(
        "five",
        (
            "the pen drew a flat top, then a round belly",
            "a level line along the top and a bow open to the left below",
            "a short neck between a flat roof and a curve",
            "a flag at the top right over a round stomach",
            "a straight roof, a stem and a hook",
        ),
        (
            "it counts the fingers of a hand",
            "half of ten",
            "the toes of a foot",
            "the working days of a week",
            "as many as the points of a star",
        ),
    ),
    Digit(
        "six",
        (
            "the pen came down in a curve and closed a loop at the bottom",
            "a ring at the foot with a long bow above",
            "a curl that ends in a closed belly",
            "a tall curve that rolls up into a small ring below",
            "a hook above, a closed loop at the base",
        ),
        (
            "it counts the faces of a die",
            "the legs of an insect",
            "half of a dozen",
            "twice three",
            "as many as the strings of a guitar",
        ),
    ),
    Digit(
        "seven",
        (
            "the pen ran along the top and then slanted down",
            "a flat roof and one diagonal leg",
            "a level line that turns into a slanted stroke",
            "a sharp corner at the upper right, then a long slope",
            "a roof with a single leg leaning to the left",
        ),
        (
            "it counts the days of a week",
            "the colours of a rainbow",
            "the dwarfs of the fairy tale",
            "the wonders of the ancient world",
            "as many as the notes of a scale",
        ),
    ),
    Digit(
        "eight",
        (
            "the pen crossed itself and closed two loops",
            "two rings, one above the other",
            "a line that crosses in the middle, twice closed",
            "a snowman of two small circles",
            "a waist between two closed bellies",
        ),
        (
            "it counts the legs of a spider",
            "the arms of an octopus",
            "twice four",
            "the planets around the sun",
            "as many as the notes from one octave to the next",
        ),
    ),
    Digit(
        "nine",
        (
            "the pen closed a loop at the top and left a tail",
            "a ring at the head with a leg below",
            "a closed belly above, a straight or bent stem under it",
            "a small circle that hangs on a long stem",
            "a balloon on a string",
        ),
        (
            "it counts the months before a birth",
            "the players of a baseball team",
            "three times three",
            "the last before two figures are needed",
            "as many as the lives of a cat",
        ),
    ),
)
"""Classes of the target."""

WRITTEN_SENTENCES = {
    "train": (
        "Someone wrote this by hand with a {ink} pen: {stroke}; {fact}.",
        "A scan of {ink} handwriting. You can see {name}, for {stroke}.",
        "On the form there is a number: {fact}. In {ink} ink, {stroke}.",
        "Handwritten with {ink} lines, {stroke}.",
        "The clerk read it as {name}; {fact}.",
    ),
    "val": (
        "From a filled-in form, {ink} and blurred: {stroke}; {fact}.",
        "Look at the {ink} figure: {stroke}.",
        "This one could be {name}, since {stroke}.",
    ),
    "test": (
        "A person jotted down a figure in {ink} strokes, and {stroke}; {fact}.",
        "Small and grey, the scan has {ink} marks: {stroke}.",
        "Read aloud it would be {name}: {stroke}.",
        "What the {ink} pencil left: {stroke}. The number behind it: {fact}.",
    ),
}
_PHRASES = {"train": (0, 1, 2), "val": (0, 1, 3), "test": (1, 2, 4)}
"""Which of a digit's strokes and facts each split speaks with."""


def printed_text(character: str, style: str, split: str, draw: np.random.Generator) -> str:
    """A sentence about a printed letter or digit."""
    kind = "digit" if character.isdigit() else "letter"
    name = f"the {kind} {character}"
    shape = _one(PRINTED_SHAPES[character], draw)
    return _sentence(_one(PRINTED_SENTENCES[split], draw), name=name, style=style, shape=shape)


def written_text(digit: int, ink: str, split: str, draw: np.random.Generator) -> str:
    """A sentence about a handwritten digit."""
    words = DIGITS[digit]
    stroke = words.strokes[_one(_PHRASES[split], draw)]
    fact = words.facts[_one(_PHRASES[split], draw)]
    article = "an" if words.name == "eight" else "a"
    name = f"{article} {words.name}"
    return _sentence(_one(WRITTEN_SENTENCES[split], draw), name=name, ink=ink, stroke=stroke, fact=fact)


def _one(choices: tuple[T, ...], draw: np.random.Generator) -> T:
    return choices[int(draw.integers(len(choices)))]


def _sentence(template: str, **words: str) -> str:
    sentence = template.format(**words)
    return sentence[0].upper() + sentence[1:]
