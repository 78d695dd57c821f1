// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {DealStatus, Settings} from "../src/DealStatus.sol";
import {IDealRegistry, Policy} from "../src/IDealRegistry.sol";
import {IDealStatus, InclusionProof} from "../src/IDealStatus.sol";
import {IFrc0087, IFrc0087Enumeration, IFrc0087OnChain} from "../src/IFrc0087.sol";
import {Fixture} from "./support/Fixture.sol";
import {MarketStandIn} from "./support/StandIns.sol";
import {Log} from "./support/Vm.sol";
import {Tree} from "./support/Tree.sol";

/// One scenario for three machines. Here it is run and written down: each step with what it sends and what came of it.
/// `vectors/scenario.json` is that; the devnet's FEVM (crates/raas-devnet/tests/fevm/scenario.rs) and anvil
/// (bin/scenario.mjs) run the file's steps and must come to the same bytes. With SCENARIO_WRITE=true it is written anew.
contract ScenarioTest is Fixture {
    /// The height before the first step. Every step but a question takes one epoch.
    uint64 private constant BASE = 5_000_100;
    uint256 private constant OPERATOR =
        uint256(bytes32(hex"0707070707070707070707070707070707070707070707070707070707070707"));
    uint256 private constant CLIENT =
        uint256(bytes32(hex"0808080808080808080808080808080808080808080808080808080808080808"));
    uint256 private constant STRANGER =
        uint256(bytes32(hex"0909090909090909090909090909090909090909090909090909090909090909"));

    string private _steps;
    bytes32 private _root;
    bytes32 private _piece;
    InclusionProof private _proof;

    function setUp() public override {
        super.setUp();
        vm.roll(BASE);
        address operator = vm.addr(OPERATOR);
        status = new DealStatus(Settings(operator, 3 days, operator, operator, operator, false, 0, 1000));
        bytes32[] memory leaves = new bytes32[](4);
        leaves[1] = bytes32(uint256(0x1200));
        _piece = Tree.rootOf(leaves);
        InclusionProof memory made;
        (_root, made) = Tree.aggregate(leaves, _piece, 128);
        _proof = made;
    }

    function test_scenario() public {
        requests();
        deals();
        completions();
        timePasses();
        endings();
        string memory text = string.concat(
            '{\n "base": ',
            vm.toString(uint256(BASE)),
            ',\n "accounts": {',
            accounts(),
            '},\n "steps": [\n',
            _steps,
            "\n ]\n}\n"
        );
        if (vm.envOr("SCENARIO_WRITE", false)) vm.writeFile("test/vectors/scenario.json", text);
        eq(bytes(text), bytes(vm.readFile("test/vectors/scenario.json")), "the scenario came out differently");
    }

    function accounts() private pure returns (string memory) {
        string memory two = string.concat(
            '"operator": "',
            vm.toString(vm.addr(OPERATOR)),
            '", "client": "',
            vm.toString(vm.addr(CLIENT)),
            '", '
        );
        return string.concat(two, '"stranger": "', vm.toString(vm.addr(STRANGER)), '"');
    }

    function requests() private {
        send(CLIENT, abi.encodeCall(IDealStatus.submitRaaS, (CID, 3, 2880, 86_400)));
        send(
            CLIENT,
            abi.encodeWithSignature(
                "submit(bytes)", "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku"
            )
        );
        send(
            CLIENT,
            abi.encodeWithSignature("submit(bytes,bytes)", pieceCid(PIECE), "https://example.org/piece")
        );
        send(CLIENT, abi.encodeCall(IDealStatus.submitRaaS, (CID, 33, 0, 0)));
        send(STRANGER, abi.encodeCall(IDealRegistry.updateRequest, (1, Policy(1, 0, 0, 0))));
        send(CLIENT, abi.encodeCall(IDealRegistry.updateRequest, (1, Policy(2, 10, 20, 0))));
        ask(abi.encodeCall(IDealRegistry.getRequest, (1)));
        ask(abi.encodeCall(IDealRegistry.requestCount, ()));
        ask(abi.encodeWithSignature("getAllCIDs()"));
    }

    function deals() private {
        publish(_root, Tree.DEAL_SIZE, 1001, -100, 600);
        publish(PIECE, SIZE, 1002, -100, 1000);
        publish(PIECE, SIZE, 1003, 50, 600);
        activate(1);
        activate(2);
        ask(abi.encodeWithSignature("dealState(uint64)", uint64(1)));
        ask(abi.encodeWithSignature("dealState(uint64)", uint64(3)));
        ask(abi.encodeWithSignature("dealState(uint64)", uint64(4)));
    }

    function completions() private {
        InclusionProof memory none;
        bytes memory first = abi.encodeCall(IDealStatus.complete, (1, 1, 1001, _proof, verifier(_piece, 128)));
        send(STRANGER, first);
        send(OPERATOR, abi.encodeCall(IDealStatus.complete, (1, 1, 666, _proof, verifier(_piece, 128))));
        send(OPERATOR, first);
        send(OPERATOR, first);
        InclusionProof memory tampered = _proof;
        tampered.proofIndex.path[2] ^= bytes32(uint256(1));
        send(OPERATOR, abi.encodeCall(IDealStatus.complete, (2, 1, 1001, tampered, verifier(_piece, 128))));
        send(OPERATOR, abi.encodeCall(IFrc0087.complete, (2, 5, 2, 1002, none, verifier(PIECE, SIZE))));
        send(OPERATOR, abi.encodeCall(IFrc0087.complete, (2, 6, 2, 1002, none, verifier(PIECE, SIZE))));
        send(OPERATOR, abi.encodeCall(IFrc0087OnChain.onchain_complete, (3, 5, 2, 1002)));
        send(OPERATOR, abi.encodeCall(IFrc0087OnChain.onchain_complete, (3, 5, 3, 1003)));
        send(OPERATOR, abi.encodeCall(IDealStatus.complete, (3, 1, 1001, _proof, verifier(_piece, 128))));
        questions();
    }

    function questions() private {
        ask(abi.encodeWithSignature("getAllDeals(bytes)", CID));
        ask(abi.encodeCall(IFrc0087Enumeration.getAllDeals, (CID, 0, 10)));
        ask(abi.encodeCall(IDealStatus.getActiveDeals, (CID)));
        ask(abi.encodeCall(IDealStatus.getExpiringDeals, (CID, 490)));
        ask(abi.encodeWithSignature("replicas(bytes,uint64)", CID, uint64(2000)));
        ask(abi.encodeCall(IDealRegistry.policyOf, (CID)));
    }

    function timePasses() private {
        advance(400);
        ask(abi.encodeCall(IDealStatus.getExpiringDeals, (CID, 100)));
        advance(100);
        // The first one is over, though still in the market's state.
        questions();
        send(STRANGER, abi.encodeCall(IDealRegistry.pruneDeals, (CID, list(1, 2))));
        send(STRANGER, abi.encodeCall(IDealRegistry.pruneDeals, (CID, list(1))));
        remove(2);
        questions();
        ask(abi.encodeWithSignature("dealState(uint64)", uint64(2)));
    }

    function endings() private {
        send(STRANGER, abi.encodeCall(IDealRegistry.cancelRequest, (1)));
        send(CLIENT, abi.encodeCall(IDealRegistry.cancelRequest, (1)));
        ask(abi.encodeCall(IDealRegistry.policyOf, (CID)));
        send(STRANGER, abi.encodeCall(DealStatus.pause, ()));
        send(OPERATOR, abi.encodeCall(DealStatus.pause, ()));
        send(CLIENT, abi.encodeWithSignature("submit(bytes)", CID));
        questions();
    }

    // ---- Steps

    function send(uint256 key, bytes memory data) private {
        vm.roll(block.number + 1);
        vm.recordLogs();
        vm.prank(vm.addr(key));
        (bool ok, bytes memory output) = address(status).call(data);
        string memory logs = "";
        Log[] memory recorded = vm.getRecordedLogs();
        // What a failed call emitted is recorded too, but no chain has it.
        for (uint256 i = 0; ok && i < recorded.length; ++i) {
            string memory topics = "";
            for (uint256 j = 0; j < recorded[i].topics.length; ++j) {
                topics = string.concat(topics, j == 0 ? '"' : ', "', vm.toString(recorded[i].topics[j]), '"');
            }
            logs = string.concat(
                logs,
                i == 0 ? "" : ", ",
                '{"topics": [',
                topics,
                '], "data": "',
                vm.toString(recorded[i].data),
                '"}'
            );
        }
        string memory who = key == OPERATOR ? "operator" : key == CLIENT ? "client" : "stranger";
        step(
            string.concat(
                '"do": "send", "from": "', who, '", ', outcome(data, ok, output), ', "logs": [', logs, "]"
            )
        );
    }

    function ask(bytes memory data) private {
        (bool ok, bytes memory output) = address(status).staticcall(data);
        step(string.concat('"do": "ask", ', outcome(data, ok, output)));
    }

    function advance(uint256 epochs) private {
        vm.roll(block.number + epochs);
        step(string.concat('"do": "advance", "epochs": ', vm.toString(epochs)));
    }

    function publish(bytes32 piece, uint64 size, uint64 provider, int64 start, int64 duration) private {
        int64 from = int64(BASE) + start;
        string memory fields = string.concat(
            '"op": "publish", "piece": "',
            vm.toString(piece),
            '", "size": ',
            vm.toString(uint256(size)),
            ', "provider": ',
            vm.toString(uint256(provider)),
            ', "start": ',
            vm.toString(uint256(int256(from)))
        );
        fields = string.concat(fields, ', "duration": ', vm.toString(uint256(int256(duration))));
        onMarket(fields, abi.encodeCall(MarketStandIn.publish, (piece, size, provider, from, duration)));
    }

    function activate(uint64 dealId) private {
        string memory fields = string.concat(
            '"op": "activate", "deal": ',
            vm.toString(uint256(dealId)),
            ', "epoch": ',
            vm.toString(uint256(BASE))
        );
        onMarket(fields, abi.encodeCall(MarketStandIn.activate, (dealId, int64(BASE))));
    }

    function remove(uint64 dealId) private {
        onMarket(
            string.concat('"op": "remove", "deal": ', vm.toString(uint256(dealId))),
            abi.encodeCall(MarketStandIn.remove, (dealId))
        );
    }

    /// For a market that is a contract there is the call, for others the fields.
    function onMarket(string memory fields, bytes memory data) private {
        vm.roll(block.number + 1);
        (bool ok,) = address(market).call(data);
        check(ok, "the market stand-in");
        step(string.concat('"do": "market", ', fields, ', "data": "', vm.toString(data), '"'));
    }

    function outcome(bytes memory data, bool ok, bytes memory output) private pure returns (string memory) {
        return string.concat(
            '"data": "',
            vm.toString(data),
            '", "ok": ',
            ok ? "true" : "false",
            ', "output": "',
            vm.toString(output),
            '"'
        );
    }

    function step(string memory fields) private {
        _steps = string.concat(_steps, bytes(_steps).length == 0 ? "" : ",\n", "  {", fields, "}");
    }
}
