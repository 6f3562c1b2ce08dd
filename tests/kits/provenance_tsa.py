"""A timestamp authority (RFC 3161) on 127.0.0.1 for tests; it can be told what time it is."""

import datetime
import hashlib
import http.server
import secrets
import threading

from asn1crypto import algos, cms, core, tsp
from asn1crypto import x509 as asn1
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from provenance_kit import odd_authority, odd_leaf

from provenance.keys import certificates


class Authority:
    """Use as a context manager; ``url`` is its address, ``root`` the anchor for a tsa list, ``requests`` counts what was asked.

    at : the time it stamps; now when None. wrong_imprint : stamp something else than was asked.
    """

    def __init__(self, at=None, wrong_imprint=False):
        self.at, self.wrong_imprint, self.requests = at, wrong_imprint, 0
        start = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=4000)
        end = start + datetime.timedelta(days=8000)
        self.root = odd_authority("TSA root", "Test clock", (start, end))
        self.leaf = odd_leaf(
            self.root, "TSA", "Test clock", window=(start, end), ekus=(certificates.TIME_STAMPING,), eku_critical=True
        )

    def __enter__(self):
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                outer.requests += 1
                body = outer.answer(self.rfile.read(int(self.headers["Content-Length"])))
                self.send_response(200)
                self.send_header("Content-Type", "application/timestamp-reply")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/tsa"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()

    def answer(self, request):
        asked = tsp.TimeStampReq.load(request)
        return self.respond(asked["message_imprint"], asked["nonce"].native if asked["nonce"] else None).dump()

    def token(self, data):
        """A timestamp response over ``data`` (DER), without a network."""
        imprint = tsp.MessageImprint(
            {"hash_algorithm": {"algorithm": "sha256"}, "hashed_message": hashlib.sha256(data).digest()}
        )
        return self.respond(imprint, None).dump()

    def respond(self, imprint, nonce):
        if self.wrong_imprint:
            imprint = tsp.MessageImprint(
                {"hash_algorithm": {"algorithm": "sha256"}, "hashed_message": hashlib.sha256(b"else").digest()}
            )
        info = {
            "version": "v1",
            "policy": "1.2.3.4.1",
            "message_imprint": imprint,
            "serial_number": secrets.randbits(60),
            "gen_time": (self.at or datetime.datetime.now(datetime.UTC)).replace(microsecond=0),
        }
        if nonce is not None:
            info["nonce"] = nonce
        content = tsp.TSTInfo(info).dump()
        chain = [
            asn1.Certificate.load(certificate.public_bytes(serialization.Encoding.DER))
            for certificate in self.leaf.chain
        ]
        ess = tsp.SigningCertificateV2({"certs": [{"cert_hash": hashlib.sha256(chain[0].dump()).digest()}]})
        attributes = cms.CMSAttributes(
            [
                {"type": "content_type", "values": ["tst_info"]},
                {"type": "message_digest", "values": [hashlib.sha256(content).digest()]},
                {"type": "signing_certificate_v2", "values": [ess]},
            ]
        )
        signature = self.leaf.key.sign(attributes.dump(), ec.ECDSA(hashes.SHA256()))
        signed = cms.SignedData(
            {
                "version": "v3",
                "digest_algorithms": [{"algorithm": "sha256"}],
                "encap_content_info": {"content_type": "tst_info", "content": core.ParsableOctetString(content)},
                "certificates": chain,
                "signer_infos": [
                    {
                        "version": "v1",
                        "sid": {
                            "issuer_and_serial_number": {
                                "issuer": chain[0].issuer,
                                "serial_number": chain[0].serial_number,
                            }
                        },
                        "digest_algorithm": {"algorithm": "sha256"},
                        "signed_attrs": attributes,
                        "signature_algorithm": algos.SignedDigestAlgorithm({"algorithm": "sha256_ecdsa"}),
                        "signature": signature,
                    }
                ],
            }
        )
        token = cms.ContentInfo({"content_type": "signed_data", "content": signed})
        return tsp.TimeStampResp({"status": {"status": "granted"}, "time_stamp_token": token})
