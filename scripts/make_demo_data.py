"""Writes the demo data of the recipes: made-up text messages (ham, spam) and reviews (negative, positive).

    python scripts/make_demo_data.py [--output_dir recipes/demo]

Each text is drawn from a small grammar: a template with slots, filled again and again until no slot is left, then
roughened (abbreviations, slips of the finger, lost capitals and full stops). Nothing is copied from a real message; the
links end in .example, the numbers begin with 0555 or 0900, and the shops don't exist.

A filter has to look inside the words: spam spells some of them with digits, and two fifths of it are worded as notices
of a shop or as messages of a friend, apart from the host of the link or the start of the number. So a small model that
reads pieces of words beats TF-IDF of whole words. So that no model is perfect, as on real data: some templates are
drawn for both classes, and a few labels are wrong.

No two rows of a set are equal up to case, digits, punctuation and space, and no row of a split is an edited copy of a
row of another. The draw uses only `random.Random(seed).random()`, which gives the same numbers on every Python.
"""

import argparse
import csv
import io
import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from demo_copies import replace_copies

MESSAGES = """
[name] Anna | Ben | Carla | Dev | Ella | Farid | Grace | Hugo | Ines | Jonas | Kemi | Liam | Mira | Noor | Omar | Priya
| Rosa | Sam | Tariq | Uma | Vera | Will | Yara | Zoe | mum | dad | grandma | the twins | my boss | your sister
| uncle Pat | the neighbour | our teacher | the plumber | Auntie May
[first] anna | ben | carla | dev | ella | farid | grace | hugo | ines | jonas | kemi | liam | mira | noor | omar | priya
| rosa | sam | tariq | uma | vera | will | yara | zoe
[person] Anna | Ben | Carla | Dev | Ella | Farid | Grace | Hugo | Ines | Jonas | Kemi | Liam | Mira | Noor | Omar | love
| mate | dear | babe | bro | hun | buddy | mum | dad
[hello] Hi {person}, | Hey, | Hey {person}! | Hello {person}, | {person}, | Ok | Hiya | Yo | Morning! | Sorry, | So
| Btw | Oh | Lol | Hmm, | Evening {person}, | Just saw this, | Quick one: | Listen, | Guess what,
[bye] See you | Thanks! | xx | Love you | Let me know | Cheers | Talk later | :) | Ok? | Call me when you can | No rush
| Take care | Speak soon | Miss you | Ta | Haha | Sleep well | What do you think? | Good luck | Can't wait | Sooo sorry
| Yesss | Pleaseee | Hugs to {name} | {name} says hi | Text me when you are up | Love to {name} | See you {time}
[why] because {name} is {feel} | since I still have to {chore} | as {event} took longer | as we are out of {food}
| now that {name} is at {place} | before {name} gets home | so that we can {chore} | or we miss {event}
| or {chore} instead | because my {thing} is still at {place} | if the rain stops | unless you are too {feel}
| while {name} has {event} | but only if {name} comes too | just like after {event} | so bring your {thing}
[time] at {h} | around {h} | by {h} | after {h} | tonight | tomorrow | this evening | on {day} | on {day} at {h}
| next week | in an hour | later | this weekend | before lunch | after work | on {day} morning | first thing on {day}
[day] Monday | Tuesday | Wednesday | Thursday | Friday | Saturday | Sunday
[h] {d} | {d}.30 | {d}pm | half {d} | noon | quarter past {d} | ten to {d}
[d] 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8 | 9
[dd] {d}0 | {d}5 | {d}{d}
[code] {d}{d}{d}{d} | {d}{d}{d}{d}{d}{d}
[place] the station | the gym | the library | school | the office | the market | home | the airport
| the pub on the corner | the dentist | the car park | the lake | the cinema | {name}'s place | the bakery | the clinic
| the bus stop | the pool | the town hall | the river | the garage | the post office | the playground
[food] pasta | curry | pizza | soup | sushi | dumplings | cake | noodles | roast chicken | pancakes | salad | chips
| tacos | stew | lentils | ice cream | apple pie | fish
[thing] keys | charger | umbrella | laptop | jacket | ticket | book | notes | phone | bag | passport | glasses
| bike lock | water bottle | headphones | scarf | camera | lunch box | racket | guitar
[feel] tired | so happy | starving | a bit ill | bored | nervous | really excited | fine | half asleep | proud of you
| lost | cross | in a hurry | soaked | much better | worried
[chore] pick up {name} | buy milk | feed the cat | call the landlord | pay the rent | water the plants | print the forms
| book the table | fix the tap | return the library books | get the train tickets | finish the slides | do the laundry
| walk the dog | pack the {thing} | order the {food} | wash the car | clean the kitchen | sign the papers
| collect the parcel | find my {thing} | take {name} to {place}
[event] the concert | the wedding | the exam | the meeting | dinner | the match | the party | the lecture
| the interview | yoga | practice | the film | the birthday | the funeral | the barbecue | the school play | the trip
| the quiz | choir | the appointment
[money] ${d} | ${dd} | {dd} dollars | ${d}0 | a few quid
[prize] ${d},000 | ${d}00 | ${dd},000 | a {gadget} | a luxury holiday for two | a ${d}00 gift card | a brand new car
| a weekend in {city} | {d}00 bonus points | a year of free fuel | a week in {city}
[gadget] smartphone | tablet | games console | laptop | smart watch | camera phone | 4K TV | e-bike | coffee machine
[city] Rome | Paris | Lisbon | Miami | Dubai | Tenerife | Vienna | Bali
[shop] Zolo | Brightmart | Tellio | Kwikmob | Fonix | Dealbarn | Luxora | Vantel | Homenest | Oakfield Bank
| Northway Bank | Parcelo | Swiftpost | Fitvale | Bloomvey | Lumoplex | Medivane | Trakko | Plattero | Aquavolt
[brand] zolo | brightmart | tellio | kwikmob | fonix | dealbarn | luxora | vantel | homenest | oakfieldbank
| northwaybank | parcelo | swiftpost | fitvale | bloomvey | lumoplex | medivane | trakko | plattero | aquavolt
[lure] pay | fee | secure | verify | refund | gift | bonus | claim | prize | cash | reward | unlock | redeem | lucky
[site] {town}{group}.example/{page} | {first}s{group}.example | {first}and{first}.example/{page}
| {town}{group}.example/{code} | {own}
[own] {brand}.example | {brand}.example/{desk} | {brand}.example/{desk}/{code}
[town] velmora | astbury | tarrin | kolding | mirefield | lunden | harwick | sevra | pell | norcastle
[group] school | choir | clinic | library | football | wedding | photos | recipes | garden | bakery | theatre | cycling
[page] rsvp | map | news | tickets | album | list | visit | help
[desk] orders | account | help | visit | news
[fake] {brand}{lure}.example/{tail} | {brand}{lure}{d}{d}.example | {lure}{brand}{d}.example/{tail}
| {lure}{lure}{d}{d}.example/{tail} | my{brand}{lure}.example/{desk} | {brand}{lure}.example/{desk}/{code}
[tail] go | x{d}{d} | r{d} | q{d}{d} | u{d}{d}{d} | in
[line] 0555{d}{d}{d}{d}{d}{d}
[toll] 0900{d}{d}{d}{d}{d}{d} | 0909{d}{d}{d}{d}{d}
[act] Reply {word} to {toll} | Call {toll} now | Text {word} to {toll} | Click {fake} | Visit {fake} | Go to {fake}
| Claim at {fake} | Ring {toll} today | Confirm at {fake} | Tap {fake} to start | Details: {fake} | Answer on {toll}
[word] YES | WIN | CLAIM | GO | CASH | PLAY | STAR
[small] T&Cs apply | Stop? Txt STOP | {d}p/min | 18+ only | Offer ends {day} | Limited stock | Cost {d}.50 per msg
| Ends soon | Valid {d} days | Only for the first {dd} callers | No card needed | Adults only | Today only
[shout] URGENT! | CONGRATULATIONS! | WINNER!! | Final notice: | Dear customer, | FREE! | Last chance! | {shop}:
| Hot deal! | Important: | Great news! | Private! | Attention: | Hi, | Hello, | Hey {person}! | Good evening,
[luck] You have won {prize}! | Your number was drawn for {prize}. | A free {gadget} for {shop} customers.
| Get {prize} from {shop} today, no strings. | {shop} gives you {prize}. | You are awarded {prize}. Code {code}.
| We tried to contact you about {prize}. | Play the {shop} quiz and win {prize}! | Answer {d} questions for {prize}.
| Your old {gadget} is worth {prize}. | Somebody in {city} left {prize} for you.
[offer] Unlimited calls and texts for ${d} a month from {shop}. | Cheap loan up to {prize}, no credit check.
| Need cash? Borrow ${d},000 today. | Your {gadget} contract can be upgraded for free. | {dd}% off everything at {shop}.
| Earn ${d}00 a day from home, no experience. | Part time job, ${dd} an hour, start {time}.
| New ringtones and games from {shop} every week. | Double your money with crypto in {d} days.
| Lonely? {d}{d} singles near you want to chat {time}. | Somebody fancies you! Find out who.
| Lose {dd} pounds by {day} with the {city} diet. | Your horoscope for {day} has {prize} in it.
[threat] Your account is locked and lost in {d} hours. | Refund of ${d}{d}.{dd} from the tax office is waiting.
| Your {shop} points expire {time}. Swap them for {prize}. | A stranger paid ${d}{d}.{dd} from your account {time}.
| Your {gadget} has {d} viruses. | A court letter about ${d}{d}{d} is out {time}.

[ham]
{note} | {note} | {note} | {note} | {note} | {note} | {note} | {note} {note} | {note} Btw {note} | {note} Oh and {note}

[note]
{hello} are you coming to {event} {time}? {bye} | {hello} I'm at {place} {why}, where are you? {bye}
Running late {why}, will be at {place} {time}. {bye} | Can you {chore} {time}? {name} is {feel}. {bye}
Did you {chore}? I forgot to {chore} {why} | Please don't forget to {chore} {time} {why}
{hello} {name} says we should {chore} before {event}. {bye} | {hello} could you {chore} {time} {why}? {bye}
I left my {thing} at {place}. Could you bring it {time}? {bye} | Found your {thing} at {place}, will bring it {time}
{hello} I'm {feel} {why}. Want to get {food} {time}? | Making {food} {time} {why}, want some? {bye}
How was {event}? {name} told me you were {feel}. {bye} | {event} was great, {name} was {feel} {why}. {bye}
{hello} {event} is moved to {day}, {h}, {why}. {bye} | Is {event} still on {time}? I'm {feel} {why}
The {food} at {place} was so good, we must go again {time} {why}. {bye}
{hello} just got to {place}. The bus was full and I'm {feel}. Will {chore} {time}. {bye}
No I can't {time}, have to {chore}. Maybe {day}? {bye}
Yes {time} is fine. I will {chore} first. {name} is {feel}. {bye}
What time does {event} start? I have to {chore} first {why} | When do you want me to {chore}? I'm at {place} {time}
{name} is {feel} today so I stay at home and {chore}. {bye} | My {thing} is broken again, I'm {feel} {why}. {bye}
Happy birthday {person}! Have some {food} for me {why}. {bye} | Good luck with {event} {time}! {name} is {feel}. {bye}
{hello} can I borrow your {thing} {time}? Mine is at {place}. {bye} | Do you still have my {thing}? Need it {time} {why}
I owe you {money} for the {food}, will pay you {time} {why}. {bye} | You still owe me {money} for {event} lol. {bye}
I'll call you {time}, in {event} now {why}. {bye} | Can't talk, in {event} {why}. {bye} | Am in {event}, text me {why}
Traffic near {place} is awful, start {event} without me and {chore}. {bye}
{hello} the doctor says {name} is fine, we are home {time} {why}. {bye}
We need {food}, milk and bread. Can you stop at {place} {time}? {name} is {feel}
Are you free {time}? {name} wants to see you at {place} {why}. {bye} | Free {time}? Fancy {food} at {place} {why}?
Win or lose, {event} was fun {why}. {bye} | We won {event}!! {name} was {feel} {why}. {bye}
Don't call now, I'm at {place} with {name}. I will call you {time} {why}
{name} got {prize} at {event}, so jealous. {bye}
{name} got a new {gadget} {why}, so jealous. {bye} | How much was your {gadget}? Thinking of getting one {time} {why}
Sorry I missed your call, was at {event} {why}. {bye} | {hello} the {gadget} is {dd}% off at {shop} {time} {why}. {bye}
My bank locked the account, can you lend me {money} until {day}? {bye}
Nobody told me that the tickets were free, I'm {feel}. {bye}
The {shop} refund is in, {money}! Let's get {food} {time}. {bye}

[spam]
{shout} {luck} {act}. {small} | {luck} {act}. {small} | {shout} {offer} {act}. {small} | {offer} {act}. {small}
{shout} {threat} {act}. | {threat} {act} {time}. {small} | {shout} {offer} {luck} {act}. | {offer} {small}. {act}

[notice]
{shop}: your parcel is held at {place}. Pay ${d}.{dd} {time}: {link}
{shop}: your parcel comes {time}. Track it: {link}
{shop}: delivery missed {time}. Book a new day at {link} or call {phone} | {shop} called {time}. Call back on {phone}
{shop} alert: a payment of ${d}{d}.{dd} was made {time}. Not you? Call {phone} | {shop} help desk: {phone}, {time}
{shop}: your code is {code}. Never share it. Not you? {link} | {shop}: new sign-in {time} from {city}. Confirm at {link}
Your {shop} bill of ${d}{d}.{dd} is due {time}. Pay at {link} or call {phone}
{shop}: thanks for your order! You get {dd}% off the next {gadget} with code {code}. {link}
{hello} use my code {code} at {shop}, we both get {money} free. {link} {bye}
{hello} {shop} has {dd}% off {time}, get your {thing} there: {link} {bye}
{shop}: your contract ends {time}. Call {phone} to renew or change. | {shop}: you have used {dd}% of your data. {link}

[chat]
{hello} look at this {gadget}: {link} {bye} | {hello} free tickets for {event} {time}! {link} {bye}
Dentist reminder: your visit is {time}. Reply YES to {phone} or see {link} | Missed call from {phone} {time}. {bye}
You have {d} new voice messages about {event}. Call {phone} {time}
{hello} vote for {name} at {link}, we could win {prize}! {bye} | {hello} have you seen this? {name} at {event}: {link}
{hello} it's {name}, I lost my {thing}. This is my new number {phone}, text me {time}. {bye}
{hello} is this {name}? We met at {event}. Write me at {phone}, I'm {feel}. {bye}
{hello} the photos from {event} are at {link}. {name} looks {feel}. {bye}
The form for {event} is due {time}: {link} {bye}
{hello} my number at {place} is {phone}, call {time}. {bye} | Job for you {time}, {money} an hour, ask at {phone}. {bye}

[both]
Hello, are you free {time}? I have a job for you, paid {money} an hour {why}. {bye}
{hello} it's {name}, my phone broke. Can you send me {money} {time}? I need to {chore}. {bye}
{hello} somebody gave me your number at {event}. Are you {feel}? Want to get {food} {time}? {bye}
{shop}: your parcel is at {place}. Bring your {thing} {time}.
"""

REVIEWS = """
[subject] the film | this book | the hotel | our room | the phone | the camera | this restaurant | the show | the album
| the game | the course | the blender | the tour | the sequel | the jacket | the app | the museum | the laptop
[part] the staff | the plot | the food | the battery | the screen | the acting | the service | the ending | the price
| the design | the sound | the location | the pacing | the support | the dialogue | the breakfast | the music | the view
| the keyboard | the second half | the cast | the manual | the delivery | the build
[good] great | lovely | excellent | charming | superb | delightful | solid | wonderful | clever | fresh | friendly
| impressive | beautiful | fun | reliable | moving | brilliant | comfortable | generous | sharp | gripping | neat
[bad] awful | dull | terrible | clumsy | rude | boring | poor | dreadful | flimsy | stale | noisy | disappointing | ugly
| slow | unreliable | bland | messy | cheap | confusing | tedious | predictable | broken | overpriced | lazy
[very] very | really | so | truly | quite | rather | just | simply | surprisingly | absolutely
[loved] loved | enjoyed | adored | was impressed by | can't praise enough | kept smiling at | would gladly pay again for
[hated] hated | regretted | was let down by | couldn't stand | got tired of | wanted my money back after | gave up on
[who] I | we | my family | my friends and I | my partner | everyone at the table | the kids
[when] last week | on our trip | in the end | from the first minute | after two days | this time | again | for once
| in May
[verdict+] well worth it | would go back | five stars | highly recommended | glad I bought it | a real treat | buy it
| my new favourite | money well spent | I will tell everyone
[verdict-] avoid it | never again | one star | not worth it | a waste of money | save your time | I want a refund
| look elsewhere | what a let down | I expected more
[neutral] I read about it {when} | it was a gift | we went {when} | I had heard a lot | I tried it {when} | it came with
| {part} and {part} | we paid the full price | this is my second one | I don't write many reviews

[positive]
{part} was {very} {good} and {part} was {good} | {subject} is {good}, {verdict+} | {who} {loved} {subject}. {verdict+}
{subject} was {very} {good} {when}. {who} {loved} {part} | {neutral}. {part} was {good}, {verdict+}
{part} was not {bad} at all, {who} {loved} it | nothing {bad} about {subject}, {part} was {good}
{part} was a bit {bad}, but {subject} is {good} and {who} {loved} it | {part} may be {bad}, still {verdict+}
I expected something {bad}, but {part} was {good} | {neutral}, and {part} was {very} {good}
never {bad}, always {good}: {subject} | what {good} work, even {part} was {good} | {subject} could hardly be more {good}
far from {bad}. {part} is {good} | {who} feared {part} would be {bad}. It was {good} {when}
{neutral}. {subject} is anything but {bad} | despite {bad} {part}, {who} {loved} {subject}

[negative]
{part} was {very} {bad} and {part} was {bad} | {subject} is {bad}, {verdict-} | {who} {hated} {subject}. {verdict-}
{subject} was {very} {bad} {when}. {who} {hated} {part} | {neutral}. {part} was {bad}, {verdict-}
{part} was not {good} at all, {who} {hated} it | nothing {good} about {subject}, {part} was {bad}
{part} was quite {good}, but {subject} is {bad} and {who} {hated} it | {part} may be {good}, still {verdict-}
I expected something {good}, but {part} was {bad} | {neutral}, and {part} was {very} {bad}
never {good}, always {bad}: {subject} | what {bad} work, even {part} was {bad} | {subject} could hardly be more {bad}
far from {good}. {part} is {bad} | {who} hoped {part} would be {good}. It was {bad} {when}
{neutral}. {subject} is anything but {good} | despite {good} {part}, {who} {hated} {subject}

[both]
{part} was {good}, {part} was {bad} | {part} was {bad}, {part} was {good}
{neutral}. {part} was {good}, but {part} {bad}
{who} {loved} {part} and {hated} {part} | {subject}: {good} {part}, {bad} {part}. {neutral}
"""

# How people shorten what they type; each word of a message with its own chance.
SHORT = {
    "you": "u", "are": "r", "your": "ur", "to": "2", "for": "4", "tomorrow": "tmrw", "tonight": "2nite",
    "please": "pls", "and": "&", "thanks": "thx", "see": "c", "be": "b", "want": "wanna", "because": "cos",
    "with": "wiv", "text": "txt", "the": "da", "I'm": "im", "can't": "cant", "don't": "dont", "what": "wat",
    "have": "hav", "good": "gd", "back": "bk",
}  # fmt: skip
# How a word is spelt past a filter that knows it: some of its letters become digits.
DISGUISED = (
    "account bonus borrow call cash claim click credit crypto customers deal free gift loan locked lonely money offer "
    "prize prizes refund singles tickets today urgent win winner won"
)
DIGITS = str.maketrans("aeios", "43105")
SLOT = re.compile(r"\{([^{}]+)\}")


@dataclass(frozen=True)
class DemoSet:
    """What one set is made of; shares are of the class, 0 to 1.

    Args:
        grammar: rule → its options; a rule named for each class, and those of `rule_shares`.
        class_shares: of all rows.
        rule_shares: of the class, rule → share drawn from it; the rest is drawn from the rule of the class's name.
        wrong_shares: of the class, whose label is then the other one.
        rows: by split.
        shorten: chance that a word is shortened.
        seed: of the draw.
        disguise_shares: of the class, whose words of `DISGUISED` are spelt with digits.
    """

    grammar: Mapping[str, Sequence[str]]
    class_shares: Mapping[str, float]
    rule_shares: Mapping[str, Mapping[str, float]]
    wrong_shares: Mapping[str, float]
    rows: Mapping[str, int]
    shorten: float
    seed: int
    disguise_shares: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class DemoRow:
    """A row of a set.

    Args:
        text: as it is written.
        label: as it is written, right or wrong.
        drawn_as: the class whose rules made the text.
    """

    text: str
    label: str
    drawn_as: str


def parse_grammar(text: str) -> dict[str, list[str]]:
    """`[rule]` opens a rule; its options stand on the same and the next lines, parted by ` | `."""
    grammar: dict[str, list[str]] = {}
    for block in re.split(r"^\[", text, flags=re.MULTILINE)[1:]:
        rule, _, options = block.partition("]")
        grammar[rule] = [
            option.strip() for option in re.split(r" *\|(?: |$)|\n", options, flags=re.MULTILINE) if option.strip()
        ]
    return grammar


def messages_grammar() -> dict[str, list[str]]:
    """The rules of the messages: a notice or a chat of either class differs only within its link or number.

    Their words are the same in both, so a filter must look inside them: zolo.example and 0555… belong to whom they seem
    to belong to, zolopay24.example and 0900… to one who pretends.
    """
    grammar = parse_grammar(MESSAGES)
    for label, host, phone in (("ham", "own", "line"), ("spam", "fake", "toll")):
        grammar[f"chat_{label}"] = _renamed(grammar["chat"], link="site" if label == "ham" else host, phone=phone)
        grammar[f"notice_{label}"] = []
        for shop in grammar["shop"]:
            brand = shop.lower().replace(" ", "")
            grammar[f"{host} of {brand}"] = [link.replace("{brand}", brand) for link in grammar[host]]
            options = _renamed(grammar["notice"], link=f"{host} of {brand}", phone=phone)
            grammar[f"notice_{label}"] += [option.replace("{shop}", shop) for option in options]
    return grammar


def _renamed(options: Sequence[str], link: str, phone: str) -> list[str]:
    return [option.replace("{link}", f"{{{link}}}").replace("{phone}", f"{{{phone}}}") for option in options]


SETS = {
    # 13 % spam as in the SMS Spam Collection. F1 of spam on test: TF-IDF with logistic regression 0.76, a BERT of two
    # layers from scratch 0.92 to 0.96 (three seeds). A third of the ham is two notes, as long as spam: were all ham
    # short, the notices would be the long ham, and length would seem to decide.
    "spam": DemoSet(
        grammar=messages_grammar(),
        class_shares={"ham": 0.866, "spam": 0.134},
        rule_shares={
            "ham": {"both": 0.01, "notice_ham": 0.07, "chat_ham": 0.07},
            "spam": {"both": 0.02, "notice_spam": 0.3, "chat_spam": 0.15},
        },
        wrong_shares={"ham": 0.004, "spam": 0.026},
        rows={"train": 2400, "validation": 500, "test": 500},
        shorten=0.15,
        seed=21,
        disguise_shares={"spam": 0.5},
    ),
    "sentiment": DemoSet(
        grammar=parse_grammar(REVIEWS),
        class_shares={"negative": 0.48, "positive": 0.52},
        rule_shares={"negative": {"both": 0.04}, "positive": {"both": 0.04}},
        wrong_shares={"negative": 0.04, "positive": 0.04},
        rows={"train": 2000, "validation": 400, "test": 400},
        shorten=0.0,
        seed=21,
    ),
}


def make_rows(demo: DemoSet) -> dict[str, list[tuple[str, str]]]:
    """(text, label) of every split, in random order; the same share of each class in each, up to wrong labels."""
    rng = random.Random(demo.seed)
    seen: set[str] = set()
    splits: dict[str, list[DemoRow]] = {}
    for split, rows in demo.rows.items():
        drawn: list[DemoRow] = []
        for label, share in demo.class_shares.items():
            for _ in range(round(rows * share)):
                text = _new_text(demo, label, rng, seen)
                other = next(name for name in demo.class_shares if name != label)
                drawn.append(DemoRow(text, other if rng.random() < demo.wrong_shares[label] else label, label))
        splits[split] = [drawn[i] for _, i in sorted((rng.random(), i) for i in range(len(drawn)))]
    replace_copies(
        splits,
        lambda row: row.text,
        draw=lambda split, row: replace(
            splits[split][row], text=_new_text(demo, splits[split][row].drawn_as, rng, seen)
        ),
    )
    return {split: [(row.text, row.label) for row in rows] for split, rows in splits.items()}


def to_csv(rows: Sequence[tuple[str, str]]) -> bytes:
    """The rows under the header `text,label`, as RFC 4180 writes them but with LF, so that diffs are readable."""
    file = io.StringIO(newline="")
    writer = csv.writer(file, lineterminator="\n")
    writer.writerows([("text", "label"), *rows])
    return file.getvalue().encode()


def _new_text(demo: DemoSet, label: str, rng: random.Random, seen: set[str]) -> str:
    while True:
        text = _pick(demo.grammar[_pick_rule(demo, label, rng)], rng)
        while SLOT.search(text):
            text = SLOT.sub(lambda slot: _pick(demo.grammar[slot[1]], rng), text)
        if label in demo.disguise_shares and rng.random() < demo.disguise_shares[label]:
            text = " ".join(_disguise(word, rng) for word in text.split())
        text = _roughen(text, demo.shorten, rng)
        key = re.sub(r"[\W\d_]+", " ", text.casefold())
        if key not in seen:
            seen.add(key)
            return text


def _pick_rule(demo: DemoSet, label: str, rng: random.Random) -> str:
    point = rng.random()
    for rule, share in demo.rule_shares[label].items():
        point -= share
        if point < 0:
            return rule
    return label


def _disguise(word: str, rng: random.Random) -> str:
    if word.strip(".,!?:").casefold() not in DISGUISED.split():
        return word
    return "".join(letter.lower().translate(DIGITS) if rng.random() < 0.5 else letter for letter in word)


def _pick(options: Sequence[str], rng: random.Random) -> str:
    return options[int(rng.random() * len(options))]


def _roughen(text: str, shorten: float, rng: random.Random) -> str:
    hurried = rng.random() < 0.5  # a writer shortens much or not at all
    words = [SHORT.get(word, word) if hurried and rng.random() < 2 * shorten else word for word in text.split()]
    text = " ".join(words)
    if rng.random() < 0.12:  # two neighbouring letters change places
        place = int(rng.random() * (len(text) - 1))
        word = text[text.rfind(" ", 0, place) + 1 :].partition(" ")[0]
        is_link = bool(re.search(r"\w[./]\w", word))  # misspelt, it might be somebody's
        if text[place : place + 2].isalpha() and not is_link:
            text = text[:place] + text[place + 1] + text[place] + text[place + 2 :]
    text = text.lower() if rng.random() < 0.25 else text[0].upper() + text[1:]
    return text.rstrip(" .,") if rng.random() < 0.4 else text


def main() -> None:
    """Writes every set under --output_dir, as SET/SPLIT.csv."""
    parser = argparse.ArgumentParser(description="write the demo data of the recipes")
    parser.add_argument("--output_dir", type=Path, default=Path(__file__).parents[1] / "recipes" / "demo")
    output_dir = parser.parse_args().output_dir
    for name, demo in SETS.items():
        for split, rows in make_rows(demo).items():
            path = output_dir / name / f"{split}.csv"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(to_csv(rows))


if __name__ == "__main__":
    main()
