import pytest
from lxml import etree

from careledger.standards.epcis.document import DocumentKind
from careledger.standards.epcis.errors import DocumentRejected, ProblemCode, Severity
from careledger.standards.epcis.event_hash import pre_hash
from careledger.standards.epcis.ilmd import ITEM_EXPIRATION_DATE, LOT_NUMBER, master_data_text
from careledger.standards.epcis.model import Event, Field, Node
from careledger.standards.epcis.reading import parse_document
from standards.epcis.epcis_documents import (
    aggregation_event,
    association_event,
    document,
    object_event,
    read_event,
    sensor_event,
    transaction_event,
    transformation_event,
    xml_document,
    xml_object_event,
)

XML = "application/xml; charset=utf-8"
TIMES = "<eventTime>2026-03-04T10:00:00Z</eventTime><eventTimeZoneOffset>+00:00</eventTimeZoneOffset>"
AGGREGATION = f"""<AggregationEvent>{TIMES}
<parentID>urn:epc:id:sscc:4012345.3111111111</parentID>
<childEPCs><epc>urn:epc:id:sgtin:4012345.011111.A2</epc><epc>urn:epc:id:sgtin:4012345.011111.A1</epc></childEPCs>
<action>ADD</action><bizStep>urn:epcglobal:cbv:bizstep:packing</bizStep></AggregationEvent>"""
ASSOCIATION = f"""<AssociationEvent>{TIMES}
<parentID>urn:epc:id:grai:4012345.00022.1</parentID>
<childEPCs><epc>urn:epc:id:giai:4012345.SENSOR7</epc></childEPCs>
<action>ADD</action><bizStep>cbv:BizStep-installing</bizStep></AssociationEvent>"""
TRANSACTION = f"""<TransactionEvent>{TIMES}
<bizTransactionList>
<bizTransaction type="urn:epcglobal:cbv:btt:po">urn:epcglobal:cbv:bt:4012345000009:PO1</bizTransaction>
</bizTransactionList><epcList><epc>urn:epc:id:sgtin:4012345.011111.A1</epc></epcList><action>ADD</action>
</TransactionEvent>"""
TRANSFORMATION = f"""<TransformationEvent>{TIMES}
<inputQuantityList><quantityElement><epcClass>urn:epc:class:lgtin:4012345.022222.L1</epcClass>
<quantity>12.0</quantity><uom>KGM</uom></quantityElement></inputQuantityList>
<outputEPCList><epc>urn:epc:id:sgtin:4012345.033333.B1</epc></outputEPCList>
<bizStep>https://ref.gs1.org/cbv/BizStep-commissioning</bizStep>
<ilmd><cbvmda:lotNumber>L1</cbvmda:lotNumber><cbvmda:itemExpirationDate>2028-02-29</cbvmda:itemExpirationDate></ilmd>
</TransformationEvent>"""
SENSOR = """<sensorElementList><sensorElement>
<sensorMetadata startTime="2026-03-04T10:00:00Z" endTime="2026-03-04T11:00:00Z"
 deviceID="urn:epc:id:giai:4012345.SENSOR7"/>
<sensorReport type="gs1:Temperature" value="5.10" uom="CEL" booleanValue="1" example:probe="7"/>
<example:note>x</example:note></sensorElement></sensorElementList>"""


def events_of(text: str, version: str = "2.0") -> tuple[Event, ...]:
    read = parse_document(xml_document(text, version=version), XML)
    assert read.is_valid, [result.problems for result in read.results]
    return read.events


SENSOR_JSON = sensor_event(
    {"type": "Temperature", "value": 5.1, "uom": "CEL", "booleanValue": True, "example:probe": "7"}
)
SENSOR_JSON["sensorElementList"][0]["example:note"] = "x"
SENSOR_JSON["bizStep"] = "shipping"
PAIRS = [
    (xml_object_event(), object_event()),
    (AGGREGATION, aggregation_event()),
    (ASSOCIATION, association_event()),
    (TRANSACTION, transaction_event()),
    (TRANSFORMATION, transformation_event()),
    (xml_object_event(SENSOR), SENSOR_JSON),
    (
        xml_object_event(
            "<example:a><example:b>1</example:b><example:b>2.50</example:b><plain>3</plain></example:a>"
        ),
        object_event(**{"example:a": {"example:b": ["1", 2.5], "plain": "3"}}),
    ),
    (xml_object_event('<example:a example:b="1"/>'), object_event(**{"example:a": {"example:b": "1"}})),
    (
        xml_object_event('<example:a xsi:type="example:t">1</example:a>'),
        object_event(**{"example:a": {"@type": "example:t", "@value": "1"}}),
    ),
    (
        xml_object_event('<example:a example:unit="KGM">1</example:a>'),
        object_event(**{"example:a": {"#text": "1", "example:unit": "KGM"}}),
    ),
    (
        xml_object_event(
            "<persistentDisposition><unset>urn:epcglobal:cbv:disp:completeness_inferred</unset>"
            "<set>urn:epcglobal:cbv:disp:completeness_verified</set></persistentDisposition>"
        ),
        object_event(
            persistentDisposition={"set": ["completeness_verified"], "unset": ["completeness_inferred"]}
        ),
    ),
    (
        xml_object_event(
            "<quantityList><quantityElement><epcClass>urn:epc:class:lgtin:4012345.022222.L1</epcClass>"
            '<quantity xsi:nil="true"/></quantityElement></quantityList>'
        ),
        object_event(quantityList=[{"epcClass": "urn:epc:class:lgtin:4012345.022222.L1"}]),
    ),
]


@pytest.mark.parametrize(("xml", "members"), PAIRS)
def test_both_syntaxes_give_the_same_pre_hash(xml: str, members: dict[str, object]) -> None:
    (event,) = events_of(xml)
    assert pre_hash(event) == pre_hash(read_event(members))


def test_most_pairs_give_equal_events() -> None:
    equal = [events_of(xml)[0] == read_event(members) for xml, members in PAIRS]
    # Order of lists, digits of numbers and attributes may differ where the meaning does not.
    assert equal.count(True) >= 5


VERSION_1_2 = """<ObjectEvent>
<eventTime>2026-03-04T11:00:30.000+01:00</eventTime>
<recordTime>2026-03-04T11:00:31.000+01:00</recordTime>
<eventTimeZoneOffset>+01:00</eventTimeZoneOffset>
<baseExtension>
<eventID>urn:uuid:374d95fc-9457-4a51-bd6a-0bba133845a8</eventID>
<errorDeclaration><declarationTime>2026-03-05T10:00:00Z</declarationTime>
<reason>urn:epcglobal:cbv:er:incorrect_data</reason>
<correctiveEventIDs><correctiveEventID>urn:uuid:474d95fc-9457-4a51-bd6a-0bba133845a8</correctiveEventID>
</correctiveEventIDs></errorDeclaration>
</baseExtension>
<epcList><epc>urn:epc:id:sgtin:4012345.011111.A1</epc></epcList>
<action>ADD</action>
<bizStep>urn:epcglobal:cbv:bizstep:commissioning</bizStep>
<disposition>urn:epcglobal:cbv:disp:active</disposition>
<readPoint><id>urn:epc:id:sgln:4012345.00001.0</id></readPoint>
<extension>
<sourceList><source type="urn:epcglobal:cbv:sdt:owning_party">urn:epc:id:sgln:4012345.00001.0</source></sourceList>
<ilmd><cbvmda:lotNumber>L1</cbvmda:lotNumber>
<cbvmda:itemExpirationDate>2028-02-29</cbvmda:itemExpirationDate></ilmd>
<extension><quantityList><quantityElement><epcClass>urn:epc:idpat:sgtin:4012345.011111.*</epcClass>
<quantity>1</quantity></quantityElement></quantityList></extension>
</extension>
<example:own>1</example:own>
</ObjectEvent>
<extension><TransformationEvent>
<eventTime>2026-03-04T10:00:00Z</eventTime><eventTimeZoneOffset>+00:00</eventTimeZoneOffset>
<inputEPCList><epc>urn:epc:id:sgtin:4012345.022222.A1</epc></inputEPCList>
<outputEPCList><epc>urn:epc:id:sgtin:4012345.033333.B1</epc></outputEPCList>
</TransformationEvent></extension>"""
HEADER_1_2 = """<EPCISHeader>
<sbdh:StandardBusinessDocumentHeader>
<sbdh:HeaderVersion>1.0</sbdh:HeaderVersion>
<sbdh:Sender><sbdh:Identifier Authority="SGLN">urn:epc:id:sgln:4012345.00001.0</sbdh:Identifier></sbdh:Sender>
<sbdh:Receiver><sbdh:Identifier Authority="SGLN">urn:epc:id:sgln:4012345.00002.0</sbdh:Identifier></sbdh:Receiver>
<sbdh:DocumentIdentification><sbdh:Standard>EPCglobal</sbdh:Standard><sbdh:TypeVersion>1.0</sbdh:TypeVersion>
<sbdh:InstanceIdentifier>7781</sbdh:InstanceIdentifier><sbdh:Type>Events</sbdh:Type>
<sbdh:CreationDateAndTime>2026-03-04T12:00:00Z</sbdh:CreationDateAndTime></sbdh:DocumentIdentification>
</sbdh:StandardBusinessDocumentHeader>
<extension><EPCISMasterData><VocabularyList>
<Vocabulary type="urn:epcglobal:epcis:vtype:EPCClass"><VocabularyElementList>
<VocabularyElement id="urn:epc:idpat:sgtin:4012345.011111.*">
<attribute id="urn:epcglobal:cbv:mda#additionalTradeItemIdentification">12345067890</attribute>
<attribute id="urn:epcglobal:cbv:mda#strengthDescription">10 mg</attribute>
<attribute id="https://ns.example.com/care/box"><example:size><w>1</w></example:size></attribute>
</VocabularyElement></VocabularyElementList></Vocabulary>
<Vocabulary type="urn:epcglobal:epcis:vtype:Location"><VocabularyElementList>
<VocabularyElement id="urn:epc:id:sgln:4012345.00001.0"><attribute id="urn:epcglobal:cbv:mda#name">Plant</attribute>
<children><id>urn:epc:id:sgln:4012345.00001.7</id></children></VocabularyElement>
</VocabularyElementList></Vocabulary>
</VocabularyList></EPCISMasterData></extension></EPCISHeader>"""


def test_version_1_2_as_us_partners_send_it() -> None:
    read = parse_document(xml_document(VERSION_1_2, version="1.2", header=HEADER_1_2), "text/xml")
    assert read.is_valid, [result.problems for result in read.results]
    assert read.schema_version == "1.2"
    event, transformation = read.events
    assert event.event_id == "urn:uuid:374d95fc-9457-4a51-bd6a-0bba133845a8"
    assert event.error_declaration is not None
    assert event.error_declaration.reason == "incorrect_data"
    assert event.error_declaration.corrective_event_ids == ("urn:uuid:474d95fc-9457-4a51-bd6a-0bba133845a8",)
    assert (master_data_text(event, LOT_NUMBER), master_data_text(event, ITEM_EXPIRATION_DATE)) == (
        "L1",
        "2028-02-29",
    )
    assert event.sources[0].type == "owning_party"
    assert event.extensions[0].name == "own"
    assert "quantityList" in pre_hash(event)
    assert transformation.event_type == "TransformationEvent"
    assert (read.header.sender, read.header.receiver, read.header.instance_identifier) == (
        "urn:epc:id:sgln:4012345.00001.0",
        "urn:epc:id:sgln:4012345.00002.0",
        "7781",
    )
    assert read.header.content[0].name == "StandardBusinessDocumentHeader"
    product, place = read.masterdata
    assert [field.content for field in product.elements[0].attributes[:2]] == ["12345067890", "10 mg"]
    box = product.elements[0].attributes[2].content
    assert isinstance(box, Node)
    assert box.children[0] == Field(
        namespace="https://ns.example.com/care/",
        name="size",
        content=Node(children=(Field(namespace="", name="w", content="1"),)),
    )
    assert place.elements[0].children[0].canonical.endswith("/254/7")


def test_the_layers_of_1_2_do_not_change_the_event() -> None:
    flat = VERSION_1_2.replace("<extension>", "").replace("</extension>", "")
    flat = flat.replace("<baseExtension>", "").replace("</baseExtension>", "")
    assert events_of(VERSION_1_2, "1.2") == events_of(flat)


def test_query_document() -> None:
    query = (
        '<q:EPCISQueryDocument xmlns:q="urn:epcglobal:epcis-query:xsd:2" schemaVersion="2.0" '
        'creationDate="2026-03-04T12:00:00Z"><EPCISBody><q:QueryResults><queryName>SimpleEventQuery</queryName>'
        f"<resultsBody><EventList>{xml_object_event()}</EventList></resultsBody></q:QueryResults></EPCISBody>"
        "</q:EPCISQueryDocument>"
    )
    read = parse_document(query.encode())
    assert (read.kind, read.query_name, len(read.events)) == (DocumentKind.QUERY, "SimpleEventQuery", 1)
    with pytest.raises(DocumentRejected):
        parse_document(query.replace("resultsBody", "body").encode())


def test_events_of_an_own_type() -> None:
    text = f"<extension><example:Inspection>{TIMES}<example:depth>3</example:depth></example:Inspection></extension>"
    (event,) = events_of(text)
    assert event.event_type == "https://ns.example.com/care/Inspection"
    assert event.extensions[0].content == "3"


EPCIS = {"epcis": "urn:epcglobal:epcis:xsd:2"}
AMOUNT = """<quantityList><quantityElement><epcClass>urn:epc:class:lgtin:4012345.022222.L1</epcClass>
<quantity>{}</quantity></quantityElement></quantityList>"""
ERRORS = [
    ("<action>ADD</action>", ProblemCode.REPEATED_FIELD, "/ObjectEvent/action"),
    ("<lot>1</lot>", ProblemCode.UNKNOWN_FIELD, "/ObjectEvent/lot"),
    ("<quantityList><epc>x</epc></quantityList>", ProblemCode.UNKNOWN_FIELD, "/quantityList/epc"),
    (
        AMOUNT.format("many"),
        ProblemCode.NUMBER,
        "/quantityElement/quantity",
    ),
    (
        AMOUNT.format("1e999"),
        ProblemCode.NUMBER,
        "/quantityElement/quantity",
    ),
    ("<eventID>not a uri</eventID>", ProblemCode.NOT_A_URI, "/ObjectEvent/eventID"),
    ("<ilmd><cbvmda:lotNumber>1</cbvmda:lotNumber></ilmd>", ProblemCode.ACTION_RULE, "/ObjectEvent/ilmd"),
    (
        "<sourceList><source>urn:x:1</source></sourceList>",
        ProblemCode.MISSING_FIELD,
        "/sourceList/source",
    ),
    (SENSOR.replace('value="5.10"', 'value="warm"'), ProblemCode.NUMBER, "/sensorElement/sensorReport"),
    (SENSOR.replace('value="5.10"', 'reading="5"'), ProblemCode.UNKNOWN_FIELD, "/sensorElement/sensorReport"),
    (
        SENSOR.replace('booleanValue="1"', 'booleanValue="yes"'),
        ProblemCode.WRONG_TYPE,
        "/sensorElement/sensorReport",
    ),
    (
        SENSOR.replace(
            "</sensorElement>", '<sensorReport type="gs1:Temperature" value="x"/></sensorElement>'
        ),
        ProblemCode.NUMBER,
        "/sensorElement/sensorReport[2]",
    ),
    (
        "<persistentDisposition><keep>x</keep></persistentDisposition>",
        ProblemCode.UNKNOWN_FIELD,
        "/ObjectEvent/persistentDisposition",
    ),
]


@pytest.mark.parametrize(("extra", "code", "xpath"), ERRORS)
def test_errors_have_xpath_and_line(extra: str, code: ProblemCode, xpath: str) -> None:
    data = xml_document(xml_object_event(extra) + xml_object_event())
    read = parse_document(data)
    bad, good = read.results
    assert good.event is not None
    assert bad.event is None
    found = [problem for problem in bad.problems if problem.is_error]
    assert [problem.code for problem in found][:1] == [code]
    assert xpath in found[0].xpath.replace("[1]", "")
    assert len(etree.fromstring(data).xpath(found[0].xpath, namespaces=EPCIS)) == 1
    assert found[0].pointer == ""
    line = data.decode().splitlines()[found[0].line - 1]
    assert found[0].xpath.rsplit("/", 1)[1].split("[")[0] in line


def test_lists_are_located_to_the_entry() -> None:
    epcs = (
        "".join(f"\n<epc>urn:epc:id:sgtin:4012345.011111.A{n}</epc>" for n in range(4))
        + "\n<epc>pack 5</epc>"
    )
    read = parse_document(xml_document(xml_object_event(epcs=epcs)))
    (problem,) = read.results[0].problems
    assert problem.xpath.endswith("/ObjectEvent[1]/epcList[1]/epc[5]")
    assert problem.code is ProblemCode.NOT_A_URI


def test_unknown_standard_words_are_remarked_on() -> None:
    text = xml_object_event().replace("bizstep:shipping", "bizstep:shiping")
    (result,) = parse_document(xml_document(text)).results
    assert result.event is not None
    assert [(p.code, p.severity) for p in result.problems] == [(ProblemCode.VOCABULARY, Severity.WARNING)]
    assert "shipping is" in result.problems[0].message


def test_quantity_events_are_withdrawn() -> None:
    text = f"<QuantityEvent>{TIMES}<epcClass>urn:x:y</epcClass><quantity>1</quantity></QuantityEvent>"
    (result,) = parse_document(xml_document(text, version="1.2")).results
    assert [p.code for p in result.problems] == [ProblemCode.OUTDATED]


AROUND = [
    (xml_document("").replace(b'schemaVersion="2.0"', b'schemaVersion="3.0"'), ProblemCode.VERSION),
    (xml_document("").replace(b'creationDate="2026-03-04T12:00:00Z"', b""), ProblemCode.TIME),
    (xml_document("").replace(b"EPCISBody", b"Body"), ProblemCode.MISSING_FIELD),
    (
        b'<e:EPCISCaptureJob xmlns:e="urn:epcglobal:epcis:xsd:2" running="false" success="true" captureID="1"/>',
        ProblemCode.NOT_EPCIS,
    ),
]


@pytest.mark.parametrize(("data", "code"), AROUND)
def test_errors_around_the_events(data: bytes, code: ProblemCode) -> None:
    with pytest.raises(DocumentRejected) as caught:
        parse_document(data, XML)
    assert [p.code for p in caught.value.problems] == [code]
    assert caught.value.problems[0].line > 0


def test_a_creation_date_without_zone_is_remarked_on() -> None:
    data = xml_document(xml_object_event()).replace(b"2026-03-04T12:00:00Z", b"2026-03-04T12:00:00")
    read = parse_document(data)
    assert [p.code for p in read.problems] == [ProblemCode.TIME_ZONE]
    assert read.creation_date is None


def test_json_and_xml_are_told_apart_without_media_type() -> None:
    assert (
        parse_document(xml_document(xml_object_event())).events
        == parse_document(document(object_event())).events
    )
