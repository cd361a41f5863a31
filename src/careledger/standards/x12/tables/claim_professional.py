"""The professional claim, 837 by 005010X222A1.

Holds the table only; see `notation` for how to read it. 005010X222 and 005010X222A2 differ in details that
this table does not distinguish and are read by it too.
"""

from functools import cache

from careledger.standards.x12.tables.code_lists import CODE_LISTS
from careledger.standards.x12.tables.notation import TransactionSpec, compile_table

_HEADER = """
BHT R 1 RRRRRR 1=0019 2=00|18 6=31|CH|RP
> 1000A R 1                                             # submitter
  NM1 R 1 RRRSSNNRR 1:41 2=1|2 8=46
  PER R 2 RSRRSSSS 1=IC 3=EM|FX|TE 5=EM|EX|FX|TE 7=EM|EX|FX|TE
> 1000B R 1                                             # receiver
  NM1 R 1 RRRNNNNRR 1:40 2=2 8=46
> 2000A R *                                             # billing level
  HL R 1 RNRR 3:20 4=1
  PRV S 1 RRR 1=BI 2=PXC
  CUR S 1 RR 1=85
  > 2010AA R 1
    NM1 R 1 RRRSSNSSS 1:85 2=1|2 8=XX
    N3 R 1 RS
    N4 R 1 RSSSNNS
    REF R 1 RR 1:EI|SY
    REF S 2 RR 1:0B|1G
    PER S 2 RSRRSSSS 1=IC 3=EM|FX|TE 5=EM|EX|FX|TE 7=EM|EX|FX|TE
  > 2010AB S 1                                          # pay-to address
    NM1 R 1 RR 1:87 2=1|2
    N3 R 1 RS
    N4 R 1 RSSSNNS
  > 2010AC S 1                                          # pay-to plan
    NM1 R 1 RRRNNNNRR 1:PE 2=2 8=PI|XV
    N3 R 1 RS
    N4 R 1 RSSSNNS
    REF S 1 RR 1:2U|FY|NF
    REF R 1 RR 1:EI
  > 2000B R *                                           # subscriber level
    HL R 1 RRRR 3:22 4=0|1
    SBR R 1 RSSSSNNNS 1=$responsibility 2=18 5=$secondary_kind 9=$filing
    PAT S 1 NNNNSSSSS 5=D8 7=01 9=Y
    > 2010BA R 1
      NM1 R 1 RRRSSNSSS 1:IL 2=1|2 8=II|MI
      N3 S 1 RS
      N4 S 1 RSSSNNS
      DMG S 1 RRR 1=D8 3=F|M|U
      REF S 1 RR 1:SY
      REF S 1 RR 1:Y4
      PER S 1 RSRRSS 1=IC 3=TE 5=EX
    > 2010BB R 1                                        # payer
      NM1 R 1 RRRNNNNRR 1:PR 2=2 8=PI|XV
      N3 S 1 RS
      N4 S 1 RSSSNNS
      REF S 3 RR 1:2U|EI|FY|NF
      REF S 2 RR 1:G2|LU
"""

_PATIENT = """
    > 2000C S *                                         # patient level
      HL R 1 RRRR 3:23 4=0
      PAT R 1 RNNNSSSSS 1=$dependent 5=D8 7=01 9=Y
      > 2010CA R 1
        NM1 R 1 RRRSSNS 1:QC 2=1
        N3 R 1 RS
        N4 R 1 RSSSNNS
        DMG R 1 RRR 1=D8 3=F|M|U
        REF S 1 RR 1:Y4
        REF S 1 RR 1:1W|SY
        PER S 1 RSRRSS 1=IC 3=TE 5=EX
"""

_CLAIM = """
> 2300 S 100
  CLM R 1 RRNNR(RRR)RRRRSS(RSNSS)SNNNNNNNS 5.2=B 6=N|Y 7=A|B|C 8=N|W|Y 9=I|Y 10=P 11.1-2=AA|EM|OA 12=$program 20=$delay
  DTP S 1 RRR 1:431 2=D8
  DTP S 1 RRR 1:454 2=D8
  DTP S 1 RRR 1:304 2=D8
  DTP S 1 RRR 1:453 2=D8
  DTP S 1 RRR 1:439 2=D8
  DTP S 1 RRR 1:484 2=D8
  DTP S 1 RRR 1:455 2=D8
  DTP S 1 RRR 1:471 2=D8
  DTP S 1 RRR 1:314|360|361 2=D8|RD8
  DTP S 1 RRR 1:297 2=D8
  DTP S 1 RRR 1:296 2=D8
  DTP S 1 RRR 1:435 2=D8
  DTP S 1 RRR 1:096 2=D8
  DTP S 2 RRR 1:090|091 2=D8
  DTP S 1 RRR 1:444 2=D8
  DTP S 1 RRR 1:050 2=D8
  PWK S 10 RRNNSS 1=$report 2=$report_sent 5=AC
  CN1 S 1 RSSSSS 1=$contract
  AMT S 1 RR 1:F5
  REF S 1 RR 1:4N
  REF S 1 RR 1:F5
  REF S 1 RR 1:EW
  REF S 1 RR 1:9F
  REF S 1 RR 1:G1
  REF S 1 RR 1:F8                                       # the payer's control number
  REF S 1 RR 1:X4
  REF S 1 RR 1:9A
  REF S 1 RR 1:9C
  REF S 1 RR 1:LX
  REF S 1 RR 1:D9
  REF S 1 RR 1:EA
  REF S 1 RR 1:P4
  REF S 1 RR 1:1J
  K3 S 10 R
  NTE S 1 RR 1=ADD|CER|DCP|DGN|TPO
  CR1 S 1 SSNRRRNNSS 1=LB 4=A|B|C|D|E 5=DH
  CR2 S 1 NNNNNNNRNSS 8=A|C|D|E|F|G|M
  CRC S 3 RRRSSSS 1:07 2=N|Y 3-7=$ambulance
  CRC S 3 RRRSSSS 1:E1|E2|E3 2=N|Y 3-7=L1|L2|L3|L4|L5
  CRC S 1 RRR 1:75 2=Y 3=IH
  CRC S 1 RRRSS 1:ZZ 2=N|Y 3-5=$referral
  HI R 1 R(RR)S(RR)*11 1.1:ABK|BK 2-12.1=ABF|BF
  HI S 1 R(RR)S(RR) 1.1:BP 2.1=BO
  HI S 2 R(RR)S(RR)*11 1.1:BG 2-12.1=BG
  HCP S 1 RRSSSSSNNNNNSSS 1=$pricing 13=$reject 14=$policy 15=$exception
  > 2310A S 2                                           # referring
    NM1 R 1 RRRSSNSSS 1:DN|P3 2=1 8=XX
    REF S 3 RR 1:0B|1G|G2
  > 2310B S 1                                           # rendering
    NM1 R 1 RRRSSNSSS 1:82 2=1|2 8=XX
    PRV S 1 RRR 1=PE 2=PXC
    REF S 4 RR 1:0B|1G|G2|LU
  > 2310C S 1                                           # service facility
    NM1 R 1 RRRNNNNSS 1:77 2=2 8=XX
    N3 R 1 RS
    N4 R 1 RSSSNNS
    REF S 3 RR 1:0B|G2|LU
    PER S 1 RSRRSS 1=IC 3=TE 5=EX
  > 2310D S 1                                           # supervising
    NM1 R 1 RRRSSNSSS 1:DQ 2=1 8=XX
    REF S 4 RR 1:0B|1G|G2|LU
  > 2310E S 1                                           # ambulance pick-up
    NM1 R 1 RR 1:PW 2=2
    N3 R 1 RS
    N4 R 1 RSSSNNS
  > 2310F S 1                                           # ambulance drop-off
    NM1 R 1 RRS 1:45 2=2
    N3 R 1 RS
    N4 R 1 RSSSNNS
  > 2320 S 10                                           # other coverage
    SBR R 1 RRSSSNNNS 1=$responsibility 2=$relation 5=$secondary_kind 9=$filing
    CAS S 5 RRRS*16 1=$adjust
    AMT S 1 RR 1:D
    AMT S 1 RR 1:A8
    AMT S 1 RR 1:EAF
    OI R 1 NNRSNR 3=N|W|Y 4=P 6=I|Y
    MOA S 1 S*9
    > 2330A R 1
      NM1 R 1 RRRSSNSRR 1:IL 2=1|2 8=II|MI
      N3 S 1 RS
      N4 S 1 RSSSNNS
      REF S 1 RR 1:SY
    > 2330B R 1
      NM1 R 1 RRRNNNNRR 1:PR 2=2 8=PI|XV
      N3 S 1 RS
      N4 S 1 RSSSNNS
      DTP S 1 RRR 1:573 2=D8
      REF S 2 RR 1:2U|EI|FY|NF
      REF S 1 RR 1:G1
      REF S 1 RR 1:9F
      REF S 1 RR 1:T4
      REF S 1 RR 1:F8
    > 2330C S 2
      NM1 R 1 RR 1:DN|P3 2=1
      REF R 3 RR 1:0B|1G|G2
    > 2330D S 1
      NM1 R 1 RR 1:82 2=1|2
      REF R 3 RR 1:0B|1G|G2|LU
    > 2330E S 1
      NM1 R 1 RR 1:77 2=2
      REF R 3 RR 1:0B|G2|LU
    > 2330F S 1
      NM1 R 1 RR 1:DQ 2=1
      REF R 3 RR 1:0B|1G|G2|LU
    > 2330G S 1
      NM1 R 1 RR 1:85 2=1|2
      REF R 2 RR 1:G2|LU
  > 2400 R 50                                           # service line
    LX R 1 R
    SV1 R 1 R(RRSSSSS)RRRSNR(RSSS)NSNSSNNS 1.1=ER|HC|IV|WK 3=MJ|UN 7.1-4=$pointer 9=Y 11=Y 12=Y 15=0
    SV5 S 1 R(RR)RRRRR 1.1=HC 2=DA 6=1|4|6
    PWK S 10 RRNNSS 1=$report 2:$report_sent 5=AC
    PWK S 1 RR 1=CT 2:AB|AD|AF|AG|NS
    CR1 S 1 SSNRRRNNSS 1=LB 4=A|B|C|D|E 5=DH
    CR3 S 1 RRR 1=I|R|S 2=MO
    CRC S 3 RRRSSSS 1:07 2=N|Y 3-7=$ambulance
    CRC S 1 RRR 1:70 2=N|Y 3=65
    CRC S 1 RRRS 1:09 2=N|Y 3-4=38|ZV
    DTP R 1 RRR 1:472 2=D8|RD8
    DTP S 1 RRR 1:471 2=D8
    DTP S 1 RRR 1:607 2=D8
    DTP S 1 RRR 1:463 2=D8
    DTP S 1 RRR 1:461 2=D8
    DTP S 1 RRR 1:304 2=D8
    DTP S 2 RRR 1:738|739 2=D8
    DTP S 1 RRR 1:011 2=D8
    DTP S 1 RRR 1:455 2=D8
    DTP S 1 RRR 1:454 2=D8
    QTY S 1 RR 1:PT
    QTY S 1 RR 1:FL
    MEA S 5 RRR 1=OG|TR 2=HT|R1|R2|R3|R4
    CN1 S 1 RSSSSS 1=$contract
    REF S 1 RR 1:9B
    REF S 1 RR 1:9D
    REF S 5 RRNS(RR) 1:G1 4.1=2U
    REF S 1 RR 1:6R                                     # the line's own number
    REF S 1 RR 1:EW
    REF S 1 RR 1:X4
    REF S 1 RR 1:F4
    REF S 1 RR 1:BT
    REF S 5 RRNS(RR) 1:9F 4.1=2U
    AMT S 1 RR 1:T
    AMT S 1 RR 1:F4
    K3 S 10 R
    NTE S 1 RR 1:ADD|DCP
    NTE S 1 RR 1:TPO
    PS1 S 1 RR
    HCP S 1 RRSSSSSNSSSSSSS 1=$pricing 9=ER|HC|IV|WK 11=MJ|UN 13=$reject 14=$policy 15=$exception
    > 2410 S 1                                          # drug
      LIN R 1 NRR 2=EN|EO|HI|N4|ON|UK|UP
      CTP R 1 NNNRR(R) 5.1=F2|GR|ME|ML|UN
      REF S 1 RR 1:VY|XZ
    > 2420A S 1                                         # rendering
      NM1 R 1 RRRSSNSSS 1:82 2=1|2 8=XX
      PRV S 1 RRR 1=PE 2=PXC
      REF S 20 RRNS(RR) 1:0B|1G|G2|LU 4.1=2U
    > 2420B S 1                                         # purchased service
      NM1 R 1 RRNNNNNSS 1:QB 2=1|2 8=XX
      REF S 20 RRNS(RR) 1:0B|1G|G2 4.1=2U
    > 2420C S 1
      NM1 R 1 RRRNNNNSS 1:77 2=2 8=XX
      N3 R 1 RS
      N4 R 1 RSSSNNS
      REF S 3 RRNS(RR) 1:G2|LU 4.1=2U
    > 2420D S 1
      NM1 R 1 RRRSSNSSS 1:DQ 2=1 8=XX
      REF S 20 RRNS(RR) 1:0B|1G|G2|LU 4.1=2U
    > 2420E S 1                                         # ordering
      NM1 R 1 RRRSSNSSS 1:DK 2=1 8=XX
      N3 S 1 RS
      N4 S 1 RSSSNNS
      REF S 20 RRNS(RR) 1:0B|1G|G2 4.1=2U
      PER S 1 RSRRSSSS 1=IC 3=EM|FX|TE 5=EM|EX|FX|TE 7=EM|EX|FX|TE
    > 2420F S 2
      NM1 R 1 RRRSSNSSS 1:DN|P3 2=1 8=XX
      REF S 20 RRNS(RR) 1:0B|1G|G2 4.1=2U
    > 2420G S 1
      NM1 R 1 RR 1:PW 2=2
      N3 R 1 RS
      N4 R 1 RSSSNNS
    > 2420H S 1
      NM1 R 1 RRS 1:45 2=2
      N3 R 1 RS
      N4 R 1 RSSSNNS
    > 2430 S 15                                         # what another payer decided
      SVD R 1 RRR(RRSSSSS)NRS 3.1=ER|HC|IV|WK
      CAS S 5 RRRS*16 1=$adjust
      DTP R 1 RRR 1:573 2=D8
      AMT S 1 RR 1:EAF
    > 2440 S *                                          # form
      LQ R 1 RR 1=AS|UT
      FRM R 99 RSSSS 2=N|W|Y
"""


def claim_levels(header: str, patient: str, claim: str) -> str:
    """Return a claim table: the header, the claim under the subscriber, the patient and the claim under the patient."""

    def indented(levels: int) -> str:
        return "\n".join("  " * levels + line for line in claim.strip().splitlines())

    return "\n".join((header, indented(2), patient, indented(3)))


@cache
def professional_claim() -> TransactionSpec:
    """Return the table of the professional claim, compiled on first use."""
    return compile_table(
        claim_levels(_HEADER, _PATIENT, _CLAIM),
        set_id="837",
        functional_id="HC",
        versions=("005010X222A1", "005010X222A2", "005010X222"),
        lists=CODE_LISTS,
    )
