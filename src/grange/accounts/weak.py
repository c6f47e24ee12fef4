"""The passwords that are guessed first: common words, with the usual decoration, and patterns."""

from __future__ import annotations

import re

# The words that lists of leaked passwords begin with, whatever is put before or behind them.
_WORDS = """
abc account admin administrator adobe alex alexander amanda america andrea andrew angel angela
animal anthony apple arsenal asdf asdfgh asdfghjkl ashley asshole august austin autumn baby
babygirl bailey banana barcelona baseball basketball batman beautiful bigdaddy biteme black blink
blue boomer boston brandon buster butter butterfly camera carlos casper champion changeme charlie
cheese chelsea chester chicken chocolate chris christ christian clara cluster coffee company
computer cookie cool corvette cowboy cowboys crystal daniel database david december default demo
diamond digital dolphin donald dragon eagles elephant elizabeth email eminem family february
ferrari fishing flower football forever freedom friday friend friends fuck fucker fuckyou gandalf
garfield george ginger godzilla golden golfer google grange guest guitar hammer hannah happy
harley heaven hello helloworld hockey hunter iceman iloveyou internet jackson jaguar james january
jasmine jason jennifer jessica jesus john johnny jordan joseph joshua july june junior justin
karen killer killme king kitty knight lab laptop lauren letmein liverpool login logitech london
looking love lovely loveme lover lovers maggie manchester march marina marlboro martin master
matrix matthew maverick melissa mercedes merlin michael michelle mickey midnight mike miller mine
minecraft monday money monica monkey monster morgan mother mountain murphy music mustang myspace
naruto nascar natasha nathan newyork nicholas nicole nothing november october office orange
packers pakistan panther pass passw passwd password passwords patrick peanut pepper phoenix
pokemon porsche prince princess private public purple pussy qazwsx qazwsxedc qwer qwert qwerty
qwertyuiop qwertz qwertzuiop rabbit rachel raiders rainbow ranger richard robert rocket ronaldo
root samantha samson samsung sandra saturday scooter scorpion secret secure security september
server service shadow silver simple skippy slipknot snoopy soccer sophie sparky spider spiderman
spring startrek starwars steelers steven student summer sunday sunflower sunshine superman
superstar support sweet switch sysadmin system taylor teacher temp temporary tennis test tester
testing thomas thunder thursday thx tiger tigger tinker tomcat toor topgun trustno tuesday turtle
universe university user vagrant vanessa victoria viking warrior wednesday welcome whatever white
wildlife william willie wilson winner winston winter wizard yankees yellow you zaq zaqwsx zxcvbn
zxcvbnm
"""

# Letters as they are disguised.
_LEET = str.maketrans("013457@$!|+", "oleastasiit")
_LETTERS = re.compile(r"[a-z]+")
_COMMON = frozenset(_WORDS.split())

# A password must have more different characters than this.
FEW_CHARACTERS = 4
# So many common words in a row are still guessed; more make a phrase.
FEW_WORDS = 2
ROWS = (
    "01234567890123456789",
    "98765432109876543210",
    "abcdefghijklmnopqrstuvwxyz",
    "zyxwvutsrqponmlkjihgfedcba",
    "qwertyuiopasdfghjklzxcvbnm",
    "qwertzuiopasdfghjklyxcvbnm",
    "1qaz2wsx3edc4rfv5tgb6yhn7ujm",
    "1q2w3e4r5t6y7u8i9o0p",
    "q1w2e3r4t5y6u7i8o9p0",
)


def is_common(password: str) -> bool:
    """Whether a password is among those that are tried first.

    Those are a common word or two with digits and signs around them, plain or in
    disguise; rows of a keyboard; and a few characters again and again.
    """
    lowered = password.casefold()
    if len(set(lowered)) <= FEW_CHARACTERS or _is_row(lowered):
        return True
    shapes = (lowered, lowered.strip("0123456789!@#$%&*?._-+ ").translate(_LEET))
    return any(_is_few_words("".join(_LETTERS.findall(shape))) for shape in shapes)


def _is_row(text: str) -> bool:
    once = text[: len(text) // 2]
    return any(text in row for row in ROWS) or (once * 2 == text and is_common(once))


def _is_few_words(letters: str, words: int = FEW_WORDS) -> bool:
    if letters in _COMMON:
        return True
    return words > 1 and any(
        letters[:end] in _COMMON and _is_few_words(letters[end:], words - 1)
        for end in range(2, min(len(letters), 20))
    )
