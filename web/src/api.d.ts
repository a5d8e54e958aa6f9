// Made by `npm run types` from /openapi.json; not edited by hand.

export interface paths {
    "/": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** The page with the condors as cards. */
        get: operations["getPage"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/assets/{name}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** A file that the page loads, to be kept for ever. */
        get: operations["getAsset"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/positions": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** The condors and all other option contracts of the account, as last published. */
        get: operations["getPositions"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/positions/{id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** One condor with the quotes of its legs. */
        get: operations["getCondor"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/stream": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** The document, and what changes of it, as Server-Sent Events. */
        get: operations["getStream"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/status": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** The status and the counters of the daemon. */
        get: operations["getStatus"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/refresh": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Read the account again now. */
        post: operations["refresh"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/openapi.json": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** This document. */
        get: operations["getOpenapi"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/metrics": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** The daemon in numbers, for Prometheus. */
        get: operations["getMetrics"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/livez": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Whether the process works. */
        get: operations["getLivez"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/healthz": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** The same as `/livez`. */
        get: operations["getHealthz"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/readyz": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Whether positions are read and the stream is `live` or `closed`. */
        get: operations["getReadyz"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
}
export type webhooks = Record<string, never>;
export interface components {
    schemas: {
        /** @description Prices of the underlying without profit or loss at expiration; null on a side without one. */
        Breakevens: {
            lower: number | null;
            upper: number | null;
        };
        /** @description The server is going; reconnect. */
        Bye: {
            reason: string;
        };
        ByeEvent: {
            /** @constant */
            event: "bye";
            data: components["schemas"]["Bye"];
        };
        /**
         * @description One card: four legs, the numbers that do not move, and the valuation that does.
         *
         *     `openedAt`, and `realizedPl` of its rolls, are known of a condor that orders opened; every other number is of the
         *     legs as they are now. A daemon that does not tell these three knows structure alone.
         */
        Condor: {
            id: string;
            /** @enum {string} */
            kind: "ironButterfly" | "ironCondor";
            /** @enum {string} */
            direction: "long" | "short";
            underlying: string;
            root: string;
            /** Format: date */
            expiration: string;
            daysToExpiration: number;
            quantity: number;
            multiplier: number;
            brokenWing: boolean;
            ambiguous: boolean;
            legs: components["schemas"]["Leg"][];
            credit: number | null;
            maxProfit: number | null;
            maxLoss: number | null;
            putWidth: number;
            callWidth: number;
            breakevens: components["schemas"]["Breakevens"];
            /** @enum {string} */
            entrySource: "orders" | "structure";
            /** Format: date-time */
            openedAt: string | null;
            realizedPl: number | null;
            valuation: components["schemas"]["Valuation"];
            history: components["schemas"]["History"];
        };
        /**
         * @description What changed: each object listed is whole and replaces the one with the same key.
         *
         *     `totals` and `status` are there when they have changed.
         */
        Delta: {
            /** Format: date-time */
            asOf: string;
            quotes: components["schemas"]["Quote"][];
            valuations: components["schemas"]["Valuation"][];
            unmatched: components["schemas"]["Unmatched"][];
            totals?: components["schemas"]["Totals"];
            status?: components["schemas"]["Status"];
        };
        DeltaEvent: {
            /** @constant */
            event: "delta";
            /** @description The version of the document that it leads to. */
            id: string;
            data: components["schemas"]["Delta"];
        };
        /** @description `GET /api/positions`, and the data of a `snapshot`. */
        Document: {
            version: string;
            /** Format: date-time */
            asOf: string;
            status: components["schemas"]["Status"];
            condors: components["schemas"]["Condor"][];
            unmatched: components["schemas"]["Unmatched"][];
            quotes: components["schemas"]["Quote"][];
            totals: components["schemas"]["Totals"];
        };
        /** @description Sent in quiet times, so that a page can tell them from a dead link. */
        Heartbeat: {
            /** Format: date-time */
            asOf: string;
        };
        HeartbeatEvent: {
            /** @constant */
            event: "heartbeat";
            data: components["schemas"]["Heartbeat"];
        };
        /**
         * @description The profit or loss of a condor over the session: seconds since 1970, ascending, and cents at each of them.
         *
         *     At most one point a minute, of the latest day at the exchange with any, since the daemon started and the condor has
         *     had this quantity and credit; none where the stream was not live, or the profit or loss unknown or unconfirmed.
         */
        History: {
            seconds: number[];
            cents: number[];
        };
        /** @description One leg of a condor; short: negative cost basis. `multiplierAssumed`: Alpaca has not told the multiplier. */
        Leg: {
            symbol: string;
            /** @enum {string} */
            right: "call" | "put";
            strike: number;
            /** @enum {string} */
            side: "long" | "short";
            quantity: number;
            averageEntryPrice: number | null;
            costBasis: number | null;
            multiplierAssumed: boolean;
            problem: string | null;
        };
        /** @description The profit or loss of one leg at its mark. */
        LegValuation: {
            symbol: string;
            unrealizedPl: number | null;
        };
        /** @description The session of US options, as Alpaca's clock gives it; all null until it was read. */
        Market: {
            isOpen: boolean | null;
            /** Format: date-time */
            nextOpen: string | null;
            /** Format: date-time */
            nextClose: string | null;
        };
        /** @description Something to know about `symbols`, or about the whole account if there are none; `since` when it was seen. */
        Notice: {
            /** @enum {string} */
            code: "assignment" | "brokenCondor" | "calendarUnavailable" | "contractsUnavailable" | "expired" | "expiresToday" | "notStreamed" | "ordersUnavailable" | "silentSymbols" | "tradeUpdatesUnavailable";
            text: string;
            symbols: string[];
            /** Format: date-time */
            since: string;
        };
        /** @description `GET /api/positions/{id}`: one condor and the quotes of its legs. */
        OneCondor: {
            /** Format: date-time */
            asOf: string;
            condor: components["schemas"]["Condor"];
            quotes: components["schemas"]["Quote"][];
        };
        /** @description Between what the profit or loss of a condor with a missing leg lies. */
        PlBounds: {
            low: number;
            high: number;
        };
        /** @description How fresh the positions are. */
        Positions: {
            /** Format: date-time */
            readAt: string | null;
            error: components["schemas"]["RestError"] | null;
            /** @enum {string} */
            breaker: "closed" | "halfOpen" | "open";
        };
        /** @description An error answer by RFC 9457, `application/problem+json`. */
        Problem: {
            type: string;
            title: string;
            status: number;
            detail: string;
        };
        /** @description The newest published quote of one contract; sizes are contracts. */
        Quote: {
            symbol: string;
            bid: number | null;
            bidSize: number | null;
            ask: number | null;
            askSize: number | null;
            mark: number | null;
            /** @enum {string} */
            state: "crossed" | "locked" | "noAsk" | "none" | "stub" | "twoSided" | "zeroBid";
            /** Format: date-time */
            time: string | null;
            unconfirmed: boolean;
        };
        /** @description Why REST cannot be read: a stable word and a sentence. */
        RestError: {
            code: string;
            text: string;
        };
        SnapshotEvent: {
            /** @constant */
            event: "snapshot";
            /** @description The version of the document that it leads to. */
            id: string;
            data: components["schemas"]["Document"];
        };
        /** @description What can be trusted now: `state`, `reason`, `code` of the option stream, `positions` of REST. */
        Status: {
            /** @enum {string} */
            state: "closed" | "halted" | "live" | "reconnecting" | "stale" | "starting";
            reason: string | null;
            /** @enum {string|null} */
            code: "authFailed" | "connectionLimit" | "insufficientSubscription" | "malformed" | "silent" | "slowClient" | "symbolLimit" | "unreachable" | null;
            /** Format: date-time */
            since: string;
            /** @enum {string} */
            source: "alpaca-live" | "alpaca-paper" | "simulator";
            /** @enum {string} */
            feed: "indicative" | "opra";
            market: components["schemas"]["Market"];
            stream: components["schemas"]["Stream"];
            positions: components["schemas"]["Positions"];
            notices: components["schemas"]["Notice"][];
        };
        /**
         * @description `GET /api/status`: the status and the counters of this process.
         *
         *     `uptime` is in seconds; `tasks` counts what its event loop does at once, connections of subscribers included.
         */
        StatusReport: {
            /** @enum {string} */
            state: "closed" | "halted" | "live" | "reconnecting" | "stale" | "starting";
            reason: string | null;
            /** @enum {string|null} */
            code: "authFailed" | "connectionLimit" | "insufficientSubscription" | "malformed" | "silent" | "slowClient" | "symbolLimit" | "unreachable" | null;
            /** Format: date-time */
            since: string;
            /** @enum {string} */
            source: "alpaca-live" | "alpaca-paper" | "simulator";
            /** @enum {string} */
            feed: "indicative" | "opra";
            market: components["schemas"]["Market"];
            stream: components["schemas"]["Stream"];
            positions: components["schemas"]["Positions"];
            notices: components["schemas"]["Notice"][];
            version: string;
            pid: number;
            address: string;
            uptime: number;
            reconnects: number;
            subscribers: number;
            maxSubscribers: number;
            frames: number;
            dropped: number;
            evicted: number;
            resyncs: {
                [key: string]: number;
            };
            refused: {
                [key: string]: number;
            };
            tasks: number;
        };
        /**
         * @description The option stream. `subscribed` of `requested` symbols are acknowledged.
         *
         *     `nextAttemptAt`: when it connects again; null while it does not wait for that.
         */
        Stream: {
            connected: boolean;
            subscribed: number;
            requested: number;
            reconnects: number;
            /** Format: date-time */
            lastMessageAt: string | null;
            /** Format: date-time */
            nextAttemptAt: string | null;
        };
        /** @description One event of the stream, its data parsed. */
        StreamEvent: components["schemas"]["SnapshotEvent"] | components["schemas"]["DeltaEvent"] | components["schemas"]["HeartbeatEvent"] | components["schemas"]["ByeEvent"];
        /** @description The account; a sum with an unknown part is null, and `incomplete` counts the parts. */
        Totals: {
            condors: number;
            incomplete: number;
            unrealizedPl: number | null;
            naturalPl: number | null;
            unmatchedPl: number | null;
            maxLoss: number | null;
            byUnderlying: components["schemas"]["UnderlyingTotals"][];
        };
        /** @description One underlying: the condors' profit or loss, and the worst case at expiration of all contracts. */
        UnderlyingTotals: {
            underlying: string;
            unrealizedPl: number | null;
            maxLoss: number | null;
        };
        /** @description Contracts in no condor; the parsed fields are null where the symbol cannot be parsed. */
        Unmatched: {
            symbol: string;
            underlying: string | null;
            root: string | null;
            /** Format: date */
            expiration: string | null;
            /** @enum {string|null} */
            right: "call" | "put" | null;
            strike: number | null;
            /** @enum {string|null} */
            side: "long" | "short" | null;
            quantity: number | null;
            multiplier: number | null;
            averageEntryPrice: number | null;
            costBasis: number | null;
            mark: number | null;
            unrealizedPl: number | null;
            uncoveredShort: boolean;
            multiplierAssumed: boolean;
            problem: string | null;
        };
        /** @description What a condor is worth now; without a usable quote of a leg in `missing` its numbers are null, but `plBounds`. */
        Valuation: {
            id: string;
            /** Format: date-time */
            asOf: string | null;
            mark: number | null;
            natural: number | null;
            unrealizedPl: number | null;
            naturalPl: number | null;
            percentOfMaxProfit: number | null;
            percentOfRisk: number | null;
            missing: string[];
            unconfirmed: boolean;
            legs: components["schemas"]["LegValuation"][];
            plBounds: components["schemas"]["PlBounds"] | null;
        };
    };
    responses: {
        /** @description This is no HTTP/1.1 request, or its Host or address is malformed. */
        Problem400: {
            headers: {
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"];
            };
        };
        /** @description A token is needed, and none or a wrong one came. */
        Problem401: {
            headers: {
                "WWW-Authenticate": components["headers"]["WWW-Authenticate"];
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"];
            };
        };
        /** @description A page of another origin asks, to change something or to embed it. */
        Problem403: {
            headers: {
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"];
            };
        };
        /** @description There is nothing at this path. */
        Problem404: {
            headers: {
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"];
            };
        };
        /** @description There is no such method at this path; `Allow` names those there are. */
        Problem405: {
            headers: {
                Allow: components["headers"]["Allow"];
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"];
            };
        };
        /** @description The request did not come to its end in time. */
        Problem408: {
            headers: {
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"];
            };
        };
        /** @description The body is too large; no route takes one. */
        Problem413: {
            headers: {
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"];
            };
        };
        /** @description The address is too long. */
        Problem414: {
            headers: {
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"];
            };
        };
        /** @description This Host name is not served here. */
        Problem421: {
            headers: {
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"];
            };
        };
        /** @description The headers are too long. */
        Problem431: {
            headers: {
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"];
            };
        };
        /** @description A bug in condord; its log has more. */
        Problem500: {
            headers: {
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"];
            };
        };
        /** @description Of transfer codings only chunked is understood. */
        Problem501: {
            headers: {
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"];
            };
        };
        /** @description There are as many connections as there may be. */
        Problem503: {
            headers: {
                "Retry-After": components["headers"]["Retry-After"];
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"];
            };
        };
    };
    parameters: never;
    requestBodies: never;
    headers: {
        /** @description The methods that there are. */
        Allow: string;
        /** @description The version of the document, for `If-None-Match`. */
        ETag: string;
        /** @description Seconds after which to try again. */
        "Retry-After": string;
        /** @description How to offer the token. */
        "WWW-Authenticate": string;
    };
    pathItems: never;
}
export type $defs = Record<string, never>;
export interface operations {
    getPage: {
        parameters: {
            query?: never;
            header?: {
                /** @description An `ETag` that the client has. */
                "If-None-Match"?: string;
            };
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The page. */
            200: {
                headers: {
                    ETag: components["headers"]["ETag"];
                    [name: string]: unknown;
                };
                content: {
                    "text/html": string;
                };
            };
            /** @description The client has it. */
            304: {
                headers: {
                    ETag: components["headers"]["ETag"];
                    [name: string]: unknown;
                };
                content?: never;
            };
            400: components["responses"]["Problem400"];
            401: components["responses"]["Problem401"];
            403: components["responses"]["Problem403"];
            408: components["responses"]["Problem408"];
            413: components["responses"]["Problem413"];
            414: components["responses"]["Problem414"];
            421: components["responses"]["Problem421"];
            431: components["responses"]["Problem431"];
            500: components["responses"]["Problem500"];
            501: components["responses"]["Problem501"];
            503: components["responses"]["Problem503"];
        };
    };
    getAsset: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The file, by the name that the page has for it. */
                name: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The file. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "text/css": string;
                    "text/javascript": string;
                };
            };
            400: components["responses"]["Problem400"];
            401: components["responses"]["Problem401"];
            403: components["responses"]["Problem403"];
            /** @description The page has no such file. */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            408: components["responses"]["Problem408"];
            413: components["responses"]["Problem413"];
            414: components["responses"]["Problem414"];
            421: components["responses"]["Problem421"];
            431: components["responses"]["Problem431"];
            500: components["responses"]["Problem500"];
            501: components["responses"]["Problem501"];
            503: components["responses"]["Problem503"];
        };
    };
    getPositions: {
        parameters: {
            query?: never;
            header?: {
                /** @description An `ETag` that the client has. */
                "If-None-Match"?: string;
            };
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The document. */
            200: {
                headers: {
                    ETag: components["headers"]["ETag"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Document"];
                };
            };
            /** @description The client has this version. */
            304: {
                headers: {
                    ETag: components["headers"]["ETag"];
                    [name: string]: unknown;
                };
                content?: never;
            };
            400: components["responses"]["Problem400"];
            401: components["responses"]["Problem401"];
            403: components["responses"]["Problem403"];
            408: components["responses"]["Problem408"];
            413: components["responses"]["Problem413"];
            414: components["responses"]["Problem414"];
            421: components["responses"]["Problem421"];
            431: components["responses"]["Problem431"];
            500: components["responses"]["Problem500"];
            501: components["responses"]["Problem501"];
            503: components["responses"]["Problem503"];
        };
    };
    getCondor: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /**
                 * @description The condor's `id`.
                 * @example SPY-261218-705-715-770-780
                 */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The condor. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["OneCondor"];
                };
            };
            400: components["responses"]["Problem400"];
            401: components["responses"]["Problem401"];
            403: components["responses"]["Problem403"];
            /** @description There is no such condor. */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            408: components["responses"]["Problem408"];
            413: components["responses"]["Problem413"];
            414: components["responses"]["Problem414"];
            421: components["responses"]["Problem421"];
            431: components["responses"]["Problem431"];
            500: components["responses"]["Problem500"];
            501: components["responses"]["Problem501"];
            503: components["responses"]["Problem503"];
        };
    };
    getStream: {
        parameters: {
            query?: {
                /** @description Only condors with these ids, and their legs. */
                condor?: string[];
                /** @description Only these contracts, by their OCC symbols. */
                symbol?: string[];
                /** @description Milliseconds between two deltas, where that is more than the daemon's own window. */
                interval?: number;
                /** @description The same, for a client that can send no header. */
                lastEventId?: string;
            };
            header?: {
                /** @description The id of the newest event that the client has. */
                "Last-Event-ID"?: string;
            };
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Events without end. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "text/event-stream": components["schemas"]["StreamEvent"];
                };
            };
            /** @description `interval` is not allowed. */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            401: components["responses"]["Problem401"];
            403: components["responses"]["Problem403"];
            408: components["responses"]["Problem408"];
            413: components["responses"]["Problem413"];
            414: components["responses"]["Problem414"];
            421: components["responses"]["Problem421"];
            431: components["responses"]["Problem431"];
            500: components["responses"]["Problem500"];
            501: components["responses"]["Problem501"];
            /** @description There are as many subscribers as may be. */
            503: {
                headers: {
                    "Retry-After": components["headers"]["Retry-After"];
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    getStatus: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The status. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["StatusReport"];
                };
            };
            400: components["responses"]["Problem400"];
            401: components["responses"]["Problem401"];
            403: components["responses"]["Problem403"];
            408: components["responses"]["Problem408"];
            413: components["responses"]["Problem413"];
            414: components["responses"]["Problem414"];
            421: components["responses"]["Problem421"];
            431: components["responses"]["Problem431"];
            500: components["responses"]["Problem500"];
            501: components["responses"]["Problem501"];
            503: components["responses"]["Problem503"];
        };
    };
    refresh: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description It will be read. */
            202: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            400: components["responses"]["Problem400"];
            401: components["responses"]["Problem401"];
            403: components["responses"]["Problem403"];
            408: components["responses"]["Problem408"];
            413: components["responses"]["Problem413"];
            414: components["responses"]["Problem414"];
            421: components["responses"]["Problem421"];
            431: components["responses"]["Problem431"];
            500: components["responses"]["Problem500"];
            501: components["responses"]["Problem501"];
            503: components["responses"]["Problem503"];
        };
    };
    getOpenapi: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description OpenAPI 3.1. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        [key: string]: unknown;
                    };
                };
            };
            400: components["responses"]["Problem400"];
            401: components["responses"]["Problem401"];
            403: components["responses"]["Problem403"];
            408: components["responses"]["Problem408"];
            413: components["responses"]["Problem413"];
            414: components["responses"]["Problem414"];
            421: components["responses"]["Problem421"];
            431: components["responses"]["Problem431"];
            500: components["responses"]["Problem500"];
            501: components["responses"]["Problem501"];
            503: components["responses"]["Problem503"];
        };
    };
    getMetrics: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Its text format, or OpenMetrics for who accepts that. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "text/plain": string;
                    "application/openmetrics-text": string;
                };
            };
            400: components["responses"]["Problem400"];
            401: components["responses"]["Problem401"];
            403: components["responses"]["Problem403"];
            408: components["responses"]["Problem408"];
            413: components["responses"]["Problem413"];
            414: components["responses"]["Problem414"];
            421: components["responses"]["Problem421"];
            431: components["responses"]["Problem431"];
            500: components["responses"]["Problem500"];
            501: components["responses"]["Problem501"];
            503: components["responses"]["Problem503"];
        };
    };
    getLivez: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description It works, wherever Alpaca is. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "text/plain": string;
                };
            };
            400: components["responses"]["Problem400"];
            401: components["responses"]["Problem401"];
            403: components["responses"]["Problem403"];
            408: components["responses"]["Problem408"];
            413: components["responses"]["Problem413"];
            414: components["responses"]["Problem414"];
            421: components["responses"]["Problem421"];
            431: components["responses"]["Problem431"];
            500: components["responses"]["Problem500"];
            501: components["responses"]["Problem501"];
            /** @description The supervisor makes no progress. */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    getHealthz: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description It works, wherever Alpaca is. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "text/plain": string;
                };
            };
            400: components["responses"]["Problem400"];
            401: components["responses"]["Problem401"];
            403: components["responses"]["Problem403"];
            408: components["responses"]["Problem408"];
            413: components["responses"]["Problem413"];
            414: components["responses"]["Problem414"];
            421: components["responses"]["Problem421"];
            431: components["responses"]["Problem431"];
            500: components["responses"]["Problem500"];
            501: components["responses"]["Problem501"];
            /** @description The supervisor makes no progress. */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    getReadyz: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description They are. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["StatusReport"];
                };
            };
            400: components["responses"]["Problem400"];
            401: components["responses"]["Problem401"];
            403: components["responses"]["Problem403"];
            408: components["responses"]["Problem408"];
            413: components["responses"]["Problem413"];
            414: components["responses"]["Problem414"];
            421: components["responses"]["Problem421"];
            431: components["responses"]["Problem431"];
            500: components["responses"]["Problem500"];
            501: components["responses"]["Problem501"];
            /** @description They are not, or not yet. */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["StatusReport"];
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
}
