"""Lists of words of one kind each, made by hand before anything was measured with them."""

from __future__ import annotations

_LISTS = {
    "adverbs of degree": "very quite rather somewhat fairly extremely highly almost nearly barely "
    "completely totally entirely slightly partly",
    "adverbs of time": "always never often sometimes usually rarely seldom recently already soon "
    "later yesterday today tomorrow daily yearly",
    "astronomy": "planet moon star galaxy comet asteroid orbit telescope Mars Venus Jupiter Saturn "
    "Mercury eclipse universe solar lunar",
    "behaviour": "kind cruel honest brave shy polite rude lazy clever stupid generous selfish "
    "patient arrogant loyal humble",
    "biology": "cell gene protein enzyme bacteria virus tissue membrane neuron DNA RNA species "
    "organism mutation chromosome hormone antibody",
    "body states": "hungry tired sick asleep awake drunk thirsty dead alive blind deaf pregnant "
    "healthy injured exhausted dizzy",
    "business": "market profit sales customer company investment shareholder revenue budget loan "
    "debt bank insurance stock tax salary invoice",
    "computing": "software computer server database keyboard internet browser algorithm file "
    "password website network memory processor code compiler email",
    "containers": "box bag bottle cup bowl basket barrel bucket jar pot tank pocket envelope "
    "suitcase bin tray",
    "cooking": "cook boil fry bake roast grill stir chop slice peel mix melt pour heat chill serve",
    "court and crime": "murder theft fraud robbery assault rape arson crime arrest trial verdict "
    "jury prosecutor sentence guilty evidence bribery",
    "destroying": "break destroy crush smash burn tear damage ruin demolish shatter crack wreck "
    "explode bomb kill",
    "directions": "north south east west left right up down forward backward above below inside "
    "outside upstairs northern southern",
    "drinks": "water coffee tea beer wine juice milk vodka whiskey rum soda champagne cocktail "
    "lemonade brandy",
    "education": "student pupil classroom exam homework lesson curriculum university college "
    "lecture degree teacher campus kindergarten graduate diploma",
    "electricity": "voltage current battery circuit wire magnet capacitor resistor transistor "
    "electron generator motor transformer cable plug switch",
    "family names": "Smith Johnson Williams Brown Jones Miller Davis Wilson Anderson Taylor Moore "
    "Jackson Thompson Harris Clark Lewis Robinson Walker",
    "games and toys": "game chess poker puzzle doll toy ball dice cards kite lottery casino "
    "gambling player",
    "grammar": "noun verb adjective pronoun sentence word phrase syllable vowel consonant prefix "
    "suffix grammar tense plural clause",
    "looking": "see look watch stare observe notice gaze glance view spot examine inspect witness",
    "media": "newspaper magazine television radio film movie novel poem book album song video "
    "podcast documentary cartoon blog",
    "military": "army navy soldier general colonel captain battle war troops regiment infantry "
    "fleet cavalry tank siege invasion battalion",
    "modal verbs and the like": "can could may might shall should will would must cannot ought "
    "need",
    "peoples": "American British French German Russian Chinese Japanese Indian Italian Spanish "
    "Mexican Canadian Irish Greek Roman Jewish African European",
    "philosophy": "ethics logic morality truth reason metaphysics consciousness existence free "
    "virtue justice philosophy knowledge soul duty freedom",
    "places in Britain": "England Scotland Wales London Oxford Cambridge Manchester Liverpool York "
    "Birmingham Bristol Glasgow Edinburgh Kent Sussex Yorkshire Cornwall",
    "plants": "tree flower grass leaf root seed branch oak pine rose moss fern bush weed wheat "
    "willow maple",
    "politics": "president parliament election vote senator minister government party congress "
    "constitution democracy mayor ambassador republic campaign policy",
    "prepositions": "in on at by with from into onto through under over between among against "
    "during without within",
    "pronouns": "he she it they we you him her them us his their our your mine himself herself "
    "myself",
    "rooms": "kitchen bedroom bathroom hall corridor basement attic garage balcony office cellar "
    "lobby garden porch staircase closet",
    "royalty": "king queen prince princess duke emperor throne crown knight lord lady baron "
    "monarch dynasty royal palace",
    "shapes": "circle square triangle sphere cube line curve cone cylinder oval rectangle spiral "
    "ring cross arc",
    "size": "big small large tiny huge little enormous tall short wide narrow thick thin vast "
    "giant massive miniature",
    "sounds": "noise bang whistle buzz roar scream echo bark hum click hiss whisper thunder "
    "rumble laughter",
    "states of America": "California Texas Florida Ohio Michigan Georgia Virginia Alabama Oregon "
    "Nevada Arizona Colorado Kansas Iowa Maine Utah Alaska Hawaii",
    "time": "second minute hour day week month year decade century morning evening night noon "
    "midnight spring summer autumn winter",
    "units": "meter inch foot mile kilometer gram kilogram pound ounce liter gallon watt volt "
    "degree acre ton joule",
}


def word_lists() -> dict[str, list[str]]:
    """Return lists of English words, by what they have in common.

    Returns
    -------
    dict of str to list of str
        38 lists of 12 to 18 words. A word may be in two of them.

    Examples
    --------
    >>> lists = word_lists()
    >>> len(lists), lists["shapes"][:3]
    (38, ['circle', 'square', 'triangle'])
    """
    return {name: words.split() for name, words in _LISTS.items()}
