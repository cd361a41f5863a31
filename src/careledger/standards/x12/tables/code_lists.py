"""Code lists that several tables share.

Holds codes as facts, without their wording: the qualifiers the implementations permit. Lists that have an
owner outside X12 (procedure, diagnosis, place of service, adjustment reason and remark codes) are not here;
whoever holds such a list checks against it after reading.
"""

CODE_LISTS = {
    "responsibility": "A|B|C|D|E|F|G|H|P|S|T|U",
    "filing": "11|12|13|14|15|16|17|AM|BL|CH|CI|DS|FI|HM|LM|MA|MB|MC|OF|TV|VA|WC|ZZ",
    "secondary_kind": "12|13|14|15|16|41|42|43|47",
    "relation": "01|18|19|20|21|39|40|53|G8",
    "dependent": "01|19|20|21|39|40|53|G8",
    "report": (
        "03|04|05|06|07|08|09|10|11|13|15|21|A3|A4|AM|AS|B2|B3|B4|BR|BS|BT|CB|CK|CT|D2|DA|DB|DG|DJ|DS|EB|HC|HR|I5|IR|LA|M1|MT|NN|"
        "OB|OC|OD|OE|OX|OZ|P4|P5|PE|PN|PO|PQ|PY|PZ|RB|RR|RT|RX|SG|V5|XP"
    ),
    "report_sent": "AA|BM|EL|EM|FT|FX",
    "program": "02|03|05|09",
    "delay": "1|2|3|4|5|6|7|8|9|10|11|15",
    "contract": "01|02|03|04|05|06|09",
    "ambulance": "01|04|05|06|07|08|09|12",
    "referral": "AV|NU|S2|ST",
    "pointer": "1|2|3|4|5|6|7|8|9|10|11|12",
    "pricing": "00|01|02|03|04|05|06|07|08|09|10|11|12|13|14",
    "reject": "T1|T2|T3|T4|T5|T6",
    "policy": "1|2|3|4|5",
    "exception": "1|2|3|4|5|6",
    "adjust": "CO|CR|OA|PI|PR",
    "adjust_paid": "CO|OA|PI|PR",
    "present": "N|U|W|Y",
    "segment_fault": "1|2|3|4|5|6|7|8|I4|I6|I7|I8|I9",
    "element_fault": "1|2|3|4|5|6|7|8|9|10|12|13|I6|I9|I10|I11|I12|I13",
    "set_fault": "1|2|3|4|5|6|7|8|9|10|11|12|13|15|16|17|18|19|23|24|25|26|27|I5|I6",
    "group_fault": "1|2|3|4|5|6|10|11|12|13|14|15|16|17|18|19|23|24|25|26",
    "payment_adjustment": (
        "50|51|72|90|AH|AM|AP|B2|B3|BD|BN|C5|CR|CS|CT|CV|CW|DM|E3|FB|FC|GO|HM|IP|IR|IS|J1|L3|L6|LE|LS|OA|OB|PI|PL|RA|RE|SL|TL|WO|WU"
    ),
    "paid_filing": "12|13|14|15|16|17|AM|CH|DS|HM|LM|MA|MB|MC|OF|TV|VA|WC|ZZ",
    "entity": (
        "03|1P|1Z|36|40|41|71|72|73|77|82|85|87|AY|DK|DN|DQ|FA|GB|HK|IL|LI|MSC|P3|PR|PRP|PW|QB|QC|QD|SEP|TL|TTP|TU"
    ),
}
"""Named lists; codes separated by `|`."""
